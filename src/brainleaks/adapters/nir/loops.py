"""Nodes that are connected in circles, step by step."""

import torch
from torch import Tensor, nn

from brainleaks.adapters.nir.graph import Graph
from brainleaks.adapters.nir.neurons import Delay, Dynamics
from brainleaks.networks import Response


class Loop(nn.Module):
    """Nodes in common circles: what comes back over a feedback edge is of the step before.

    Before the first step neurons are silent, and layers answer to silence: with their bias.

    Args:
        names: the nodes in the order in which they run within a step.
        parts: the module of each.
        graph: their edges.
    """

    def __init__(self, names: list[str], parts: list[nn.Module], graph: Graph) -> None:
        super().__init__()
        self.names, self.parts = names, nn.ModuleList(parts)
        within = set(names)
        inside = [(a, b) for a, b in graph.edges if a in within and b in within]
        self._now = {
            n: [a for a, b in inside if b == n and (a, b) not in graph.feedback] for n in names
        }
        self._before = {
            n: [a for a, b in inside if b == n and (a, b) in graph.feedback] for n in names
        }

    def forward(self, given: dict[str, Tensor]) -> dict[str, Response]:
        """The response ``(T, B, ...)`` of each node to what comes from outside, by its node."""
        steps = len(next(iter(given.values())))
        outputs, before, states = [], dict[str, Tensor](), dict[str, object]()
        first = {name: trace[0] for name, trace in given.items()}
        before = self._idle({n: r[0] for n, r in self._step(first, {}, {}).items()})
        for t in range(steps):
            now = {name: trace[t] for name, trace in given.items()}
            found = self._step(now, before, states)
            before = {name: answer for name, (answer, _) in found.items()}
            outputs.append(found)
        return {
            name: self._over_time(name, [found[name] for found in outputs]) for name in self.names
        }

    def _step(
        self, given: dict[str, Tensor], before: dict[str, Tensor], states: dict[str, object]
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """What each node passes on, and its membrane; the states are moved on."""
        found: dict[str, tuple[Tensor, Tensor]] = {}
        for name, part in zip(self.names, self.parts, strict=True):
            sources = [found[source][0] for source in self._now[name]]
            sources += [before[source] for source in self._before[name] if source in before]
            sources += [given[name]] if name in given else []
            if not sources:  # only what will come back later leads here
                continue
            x = torch.stack(torch.broadcast_tensors(*sources)).sum(0)
            found[name] = _asked(part, x, name, states)
        return found

    def _idle(self, like: dict[str, Tensor]) -> dict[str, Tensor]:
        """What each node passes on if nothing ever fired."""
        found: dict[str, Tensor] = {}
        for name, part in zip(self.names, self.parts, strict=True):
            if name not in like:
                continue
            sources = [found[source] for source in self._now[name] if source in found]
            if isinstance(part, Dynamics | Delay) or not sources:
                found[name] = torch.zeros_like(like[name])
            else:
                found[name] = part(torch.stack(sources).sum(0))
        return found

    def _over_time(self, name: str, found: list[tuple[Tensor, Tensor]]) -> Response:
        answers, membranes = (torch.stack(trace) for trace in zip(*found, strict=True))
        part = self.parts[self.names.index(name)]
        fires = isinstance(part, Dynamics) and part.threshold is not None
        return Response(answers if fires else None, membranes)


def _asked(
    part: nn.Module, x: Tensor, name: str, states: dict[str, object]
) -> tuple[Tensor, Tensor]:
    if isinstance(part, Dynamics):
        state = states.get(name)
        spike, membrane, states[name] = part.step(x, part.start(x) if state is None else state)  # type: ignore[arg-type]
        return (membrane if spike is None else spike), membrane
    if isinstance(part, Delay):
        state = states.get(name)
        late, states[name] = part.step(x, part.start(x) if state is None else state)  # type: ignore[arg-type]
        return late, late
    answer = part(x)
    return answer, answer
