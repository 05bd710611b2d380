"""An update of which only the largest entries are sent."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Gt, Lt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from brainleaks.defences.defence import Acts


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class SparseUpdate:
    """Send the entries of each parameter's update that are largest in magnitude; the others are 0.

    Args:
        share: of the entries that are sent, in (0, 1).

    Reference: Aji and Heafield, "Sparse communication for distributed gradient descent", EMNLP
    2017, section 3; as a defence in Zhu, Liu and Han, "Deep leakage from gradients", NeurIPS 2019,
    section 5.2.

    Example:
        >>> import torch
        >>> send = SparseUpdate(share=0.5)
        >>> send({"weight": torch.tensor([0.1, -3.0, 2.0, 0.5])}, generator=torch.Generator())
        {'weight': tensor([ 0., -3.,  2.,  0.])}
    """

    version: ClassVar[int] = 1
    acts: ClassVar[Acts] = "step"

    share: Annotated[float, Gt(0), Lt(1)] = 0.1
    name: Literal["sparse-update"] = "sparse-update"

    def __call__(
        self, gradients: Mapping[str, Tensor], *, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """What is sent, by the names of the parameters."""
        return {name: self._largest(gradient) for name, gradient in gradients.items()}

    def _largest(self, gradient: Tensor) -> Tensor:
        flat = gradient.flatten()
        kept = flat.abs().topk(max(1, round(self.share * len(flat)))).indices
        return torch.zeros_like(flat).index_copy(0, kept, flat[kept]).view_as(gradient)
