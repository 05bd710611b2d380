"""The initial weights of a trained network, recovered from its file.

An input that never fires has no gradient in the first layer, and without weight decay its weights
stay as they were drawn, to the bit. They are outputs of a generator whose seed has 32 bits, and
which some 1,000 outputs determine. From the seed, or the state, all layers are drawn again.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from brainleaks.attacks.beginning.draws import Drawn, Floats, Uniform, unchanged, uniforms
from brainleaks.attacks.beginning.mersenne import Words, advance, draw, find_seed, run_back, seeded
from brainleaks.attacks.beginning.places import CERTAIN, Redrawn, initialiser, redraw_all
from brainleaks.attacks.beginning.seeds import (
    ALL_SEEDS,
    FIRST,
    Said,
    matching_seeds,
    similar_seeds,
)
from brainleaks.attacks.beginning.state import Solution, solve
from brainleaks.errors import InputError
from brainleaks.files.tensors import is_dense
from brainleaks.limits import TENSORS, WEIGHTS

#: The seeds that are tried before anything else.
_SMALL = 1 << 16
#: So many draws are run back in search of the seed, and so many of them are searched for layers.
_BACK, _SEARCHED = 1 << 28, 1 << 21
#: So many layers with untouched weights are tried, those with most of them.
_TRIED = 3
#: Inputs are left out in so many groups, in turn, where their weights contradict each other.
_GROUPS = 8
#: A layer's first weights are compared with a seed's draws only if there are this many.
_LEAST = 100


@dataclass(frozen=True)
class Beginning:
    """What a trained network's weights tell of its initial ones.

    Args:
        untouched: layers of which some inputs or units still have the weights that were drawn.
        redrawn: by name, the tensors as they were drawn; empty if they cannot be recovered.
        seed: the low 32 bits of the generator's seed, if it was found.
        before: number of outputs between the seed and the first tensor that was found.
        method: what found it: ``"seed"`` (all were tried), ``"state"`` (linear equations), or
            ``"likeness"`` (all seeds' draws were compared with the trained weights).
        why: why nothing was recovered, else ``None``.
    """

    untouched: dict[str, Drawn]
    redrawn: dict[str, Redrawn] = field(default_factory=dict)
    seed: int | None = None
    before: int | None = None
    method: str | None = None
    why: str | None = None

    @property
    def initial(self) -> dict[str, Tensor]:
        """The initial values of the tensors that were drawn again."""
        return {name: torch.from_numpy(found.values) for name, found in self.redrawn.items()}


@dataclass(frozen=True)
class _Anchor:
    """A tensor whose draws are known: the generator's window before its first."""

    name: str
    uniform: Uniform
    window: Words
    method: str


def recover_initial_weights(
    weights: dict[str, Tensor],
    *,
    seeds: tuple[int, int] = (0, ALL_SEEDS),
    said: Said | None = None,
) -> Beginning:
    """Recover the weights that a network had before it was trained.

    Works for layers that torch drew on a CPU by a uniform initialiser, as ``nn.Linear`` and
    ``nn.Conv2d`` do, in float32. Where no weight is as it was drawn (there was weight decay, or
    every input fires), the first draws of all seeds are compared with the first layer instead.

    Args:
        weights: the state dict; float32 tensors of two or more dimensions are looked at as layers.
        seeds: range of seeds for the exhaustive search.
        said: is called in the exhaustive search with the number of seeds tried.

    Raises:
        InputError: if there is no float32 layer, or there are more weights than the limit.
    """
    trained = _trained(weights)
    layers = {name: tensor for name, tensor in trained.items() if tensor.ndim > 1}
    found = ((name, unchanged(tensor)) for name, tensor in layers.items())
    untouched = {name: drawn for name, drawn in found if drawn is not None}
    anchor = _by_draws(trained, untouched, seeds, said)
    if isinstance(anchor, str) or anchor is None:
        alike = _by_likeness(layers, seeds, said)  # what seems untouched may be so by chance
        if alike is None:
            return Beginning(untouched, why=anchor or _NOTHING)
        anchor = alike
    return _redrawn(trained, untouched, anchor)


_NOTHING = (
    "No input and no unit of any layer still has the weights that were drawn, and no seed's first "
    "draws resemble the first layer: it was drawn after other numbers, by a normal or another "
    "initialiser, on a GPU, or it started from another network's weights."
)


def _trained(weights: dict[str, Tensor]) -> dict[str, Floats]:
    """The float32 tensors, finite and dense."""
    kept = {
        name: tensor.detach().cpu().contiguous().numpy()
        for name, tensor in weights.items()
        if is_dense(tensor) and tensor.dtype == torch.float32 and tensor.isfinite().all()
    }
    TENSORS.check("the state dict", len(kept))
    WEIGHTS.check("the state dict", sum(tensor.size for tensor in kept.values()))
    if any(tensor.ndim > 1 and tensor.size for tensor in kept.values()):
        return {name: tensor for name, tensor in kept.items() if tensor.size}
    kinds = sorted({str(t.dtype).removeprefix("torch.") for t in weights.values() if t.ndim > 1})
    raise InputError(
        f"the weights are {' and '.join(kinds) or 'absent'}; expected layers of finite float32 "
        "values, as they were trained: rounding removes the bits that tell of the draw."
    )


def _by_draws(
    trained: dict[str, Floats],
    untouched: dict[str, Drawn],
    seeds: tuple[int, int],
    said: Said | None,
) -> _Anchor | str | None:
    """A layer with its window; or why there is none, if there are layers that seem untouched."""
    if not untouched:
        return None
    ordered = sorted(untouched.items(), key=lambda item: -len(item[1].positions))[:_TRIED]
    small = (seeds[0], min(seeds[1], seeds[0] + _SMALL))
    if anchor := _by_seed(trained, ordered, small, None):
        return anchor
    inconsistent = []
    for name, drawn in ordered:
        solution = _solved(drawn, trained[name].shape)
        if solution.window is not None:
            return _Anchor(name, drawn.uniform, solution.window, "state")
        if not solution.consistent:
            inconsistent.append(name)
    if anchor := _by_seed(trained, ordered, seeds, said):
        return anchor
    name, drawn = ordered[0]
    count = f"{len(drawn.positions):,} weights of {name} are values that {drawn.uniform.name} draws"
    if name in inconsistent:
        return f"{count}, but not by torch's generator on a CPU: a GPU's has another stream."
    return (
        f"{count}: too few to solve for the generator's state, which takes 900 to 1,700. No seed "
        "draws them first, so other numbers were drawn before, or not by torch on a CPU."
    )


def _solved(drawn: Drawn, shape: tuple[int, ...]) -> Solution:
    """The state from untouched weights; an input may look untouched by chance, and is left out."""
    solution = solve(drawn.positions, drawn.bits, drawn.certain)
    inputs = np.unravel_index(drawn.positions, shape)[1]
    for group in range(_GROUPS if not solution.consistent else 0):
        kept = inputs % _GROUPS != group
        found = solve(drawn.positions[kept], drawn.bits[kept], drawn.certain[kept])
        if found.window is not None:
            return found
    return solution


def _by_seed(
    trained: dict[str, Floats],
    ordered: Iterable[tuple[str, Drawn]],
    seeds: tuple[int, int],
    said: Said | None,
) -> _Anchor | None:
    """The layer that a seed in the range draws first, or right after the tensors before it."""
    for name, drawn in ordered:
        for offset in sorted({0, _sizes_before(trained, name)}):
            places = drawn.positions + offset
            if places[0] < FIRST:
                found = matching_seeds(places, drawn.bits, drawn.certain, *seeds, said)
                if (seed := next(found, None)) is not None:
                    return _Anchor(name, drawn.uniform, advance(seeded(seed), offset), "seed")
    return None


def _sizes_before(trained: dict[str, Floats], name: str) -> int:
    names = list(trained)
    return sum(trained[other].size for other in names[: names.index(name)])


def _by_likeness(
    layers: dict[str, Floats], seeds: tuple[int, int], said: Said | None
) -> _Anchor | None:
    """The first layer, if some seed's first draws are like it beyond chance."""
    name, layer = next(iter(layers.items()))
    flat = layer.ravel()
    if len(flat) < _LEAST or not flat.std():
        return None

    def correlation(seed: int) -> float:
        outputs = draw(seeded(seed), len(flat)) & 0xFFFFFF
        return float(np.corrcoef(outputs, flat)[0, 1])

    best = max(similar_seeds(flat, *seeds, said), key=correlation, default=None)
    if best is None:
        return None
    uniform = initialiser(draw(seeded(best), len(flat)), layer, uniforms(layer.shape)[0])
    return _Anchor(name, uniform, seeded(best), "likeness")


def _redrawn(trained: dict[str, Floats], untouched: dict[str, Drawn], anchor: _Anchor) -> Beginning:
    """All that the generator drew around the anchor."""
    origin = find_seed(anchor.window, _BACK)
    made = _SEARCHED if origin is None else origin[1]
    back = min(made, _SEARCHED)
    window = run_back(anchor.window, back) if back else anchor.window
    total = sum(tensor.size for tensor in trained.values())
    stream = draw(window, back + 2 * total + _SEARCHED)
    redrawn = redraw_all(stream, trained, (anchor.name, back, anchor.uniform))
    first = min(found.place for found in redrawn.values())
    return Beginning(
        untouched,
        redrawn,
        seed=origin[0] if origin else None,
        before=made - back + first if origin else None,
        method=anchor.method,
    )


def sentences(beginning: Beginning) -> Iterator[str]:
    """What was found, in plain sentences."""
    for name, drawn in beginning.untouched.items():
        yield (
            f"{name}: {len(drawn.positions):,} weights are exactly as they were drawn "
            f"({drawn.uniform.name}): those of {_counted(drawn)}."
        )
    if beginning.why:
        yield f"Not recovered. {beginning.why}"
        return
    if beginning.seed is None:
        yield "The generator's state was recovered; its seed lies too far back."
    elif beginning.before:
        yield (
            f"The generator's seed is {beginning.seed}; {beginning.before:,} numbers were drawn "
            "before the network."
        )
    else:
        yield f"The generator's seed is {beginning.seed}; the network was drawn first."
    for name, found in beginning.redrawn.items():
        taken = "" if found.unchanged >= CERTAIN else ", its range taken from the other layers"
        yield (
            f"{name}: recovered ({found.initialiser}{taken}); {found.unchanged:,} of "
            f"{found.values.size:,} values did not change in training, and the correlation of "
            f"initial and trained values is {found.correlation:.2f}."
        )


def _counted(drawn: Drawn) -> str:
    counts = {"input": drawn.inputs, "output unit": drawn.units}
    said = [f"{n:,} {thing}{'' if n == 1 else 's'}" for thing, n in counts.items() if n]
    return " and ".join(said)
