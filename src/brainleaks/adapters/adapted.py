"""An adapted network: lowered to the fused operator if its outputs are verified to be the same."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from brainleaks.adapters.graph import Graph
from brainleaks.adapters.layers import CannotLower
from brainleaks.adapters.lowered import lower
from brainleaks.adapters.parity import compare
from brainleaks.errors import first_line
from brainleaks.networks import respond_in_pieces


@dataclass(frozen=True)
class Adapted:
    """An external network in the form that :class:`brainleaks.target.Target` takes.

    Args:
        network: the lowered network, or the original.
        framework: one of :data:`FRAMEWORKS`.
        lowered: whether it runs on the fused operator.
        facts: what was found, JSON-able: ``framework``, its ``version``, ``neurons`` (the
            conventions of each layer of them), ``layers``, ``call`` (how the network is asked),
            ``readout`` (the trace that it answers with: ``"spikes"`` or ``"membrane"``),
            ``access`` (the most that it can grant), ``parity`` (from
            :func:`~brainleaks.adapters.lower.compare`, with the number of samples and steps, or
            ``None``), ``why_not_lowered`` (``None`` if it is) and ``notes``, sentences.
    """

    network: nn.Module
    framework: str
    lowered: bool
    facts: dict[str, Any]


def settled(
    original: nn.Module,
    framework: str,
    facts: dict[str, Any],
    samples: Tensor,
    graph: Callable[[], Graph],
    head: Callable[[nn.Module], nn.Module] = lambda network: network,
) -> Adapted:
    """The lowered network if lowering is possible and verified, otherwise the original.

    ``head`` makes of either, whose form is the same, a network with an output for each class.
    """
    original = head(original)
    own = respond_in_pieces(original, samples)
    try:
        network = head(lower(graph(), tuple(samples.shape[-3:])))
        answers = (own, respond_in_pieces(network, samples))
    except CannotLower as reason:
        facts |= {"parity": None, "why_not_lowered": f"{first_line(reason)}."}
        return _finished(Adapted(original, framework, False, facts))
    except Exception as error:  # a stranger's layers, connected as they need not fit
        said = f"the lowered copy fails with {type(error).__name__}: {first_line(error)}."
        facts |= {"parity": None, "why_not_lowered": said}
        return _finished(Adapted(original, framework, False, facts))
    parity = compare(*answers) | {"samples": samples.shape[-4], "steps": len(answers[1].membrane)}
    facts |= {"parity": parity, "why_not_lowered": None}
    if not parity["identical"]:
        facts["why_not_lowered"] = _difference(parity)
        return _finished(Adapted(original, framework, False, facts))
    if parity.get("firing") == 0:
        facts["notes"].append(
            "no output neuron fires on the samples: that spikes agree says little."
        )
    if parity["compared"].endswith("spikes"):
        facts["readout"] = "spikes"
    return _finished(Adapted(network, framework, True, facts))


def _difference(parity: dict[str, Any]) -> str:
    said = f"the lowered copy's {parity['compared']} differ on {parity['samples']} samples"
    found = [f"{parity['differing']} spikes"] if "differing" in parity else []
    if parity["largest_difference"] is None:
        found.append("in shape, or by values that are not finite")
    else:
        found.append(f"by up to {parity['largest_difference']:.3g}")
    return f"{said} ({', '.join(found)})."


def _finished(adapted: Adapted) -> Adapted:
    """The network, with facts that can be written as JSON."""
    return replace(adapted, facts=json.loads(json.dumps(adapted.facts)))
