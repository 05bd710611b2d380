"""NIR's neurons by forward Euler steps, and in terms of the fused operator."""

from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from brainleaks.adapters.layers import CannotLower
from brainleaks.adapters.lower import (
    LEAKS_LAST,
    STAND_IN,
    Neuron,
    above_rest,
    one_rest,
    uniform,
)

NirReset = Literal["subtract", "zero"]


class State(NamedTuple):
    """Membrane and synaptic current."""

    membrane: Tensor
    current: Tensor


class Delay(nn.Module):
    """Inputs after a number of time steps, which each neuron may have its own of."""

    steps: Tensor

    def __init__(self, delay: Any, dt: float) -> None:
        super().__init__()
        steps = np.rint(np.asarray(delay, np.float64) / dt).astype(np.int64)
        self.register_buffer("steps", torch.as_tensor(steps))

    def forward(self, trace: Tensor) -> Tensor:
        """``(T, B, ...)`` to the same, nothing coming first."""
        state, given = self.start(trace[0]), []
        for x in trace:
            late, state = self.step(x, state)
            given.append(late)
        return torch.stack(given)

    def start(self, x: Tensor) -> Tensor:
        """What is on its way, ``(steps, B, ...)``."""
        return x.new_zeros(int(self.steps.max()), *x.shape)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """What arrives, and what is then on its way."""
        line = torch.cat([state, x.unsqueeze(0)])
        which = (len(state) - self.steps).expand(x.shape).unsqueeze(0)
        return line.gather(0, which).squeeze(0), line[1:]


class Threshold(nn.Module):
    """1 where the input is above a threshold, else 0."""

    threshold: Tensor

    def __init__(self, threshold: Any) -> None:
        super().__init__()
        self.register_buffer("threshold", torch.as_tensor(np.asarray(threshold, np.float64)))

    def forward(self, rows: Tensor) -> Tensor:
        spikes: Tensor = _Spike.apply(rows - self.threshold)  # type: ignore[no-untyped-call]
        return spikes


class Dynamics(nn.Module):
    """A layer of NIR's neurons in steps of ``dt``: currents ``(T, B, ...)`` to spikes, membrane.

    The answer of ``I``, ``LI`` and ``CubaLI`` is their membrane; their spikes are ``None``.
    """

    keep: Tensor
    gain: Tensor
    rest: Tensor
    keep_current: Tensor | None
    current_gain: Tensor | None
    threshold: Tensor | None
    v_reset: Tensor | None

    def __init__(self, kind: str, node: dict[str, Any], dt: float, reset: NirReset) -> None:
        super().__init__()
        self.kind, self.subtracts = kind, reset == "subtract"
        field = {
            name: np.asarray(value, np.float64) for name, value in node.items() if name != "type"
        }
        zero = np.zeros_like(field["r"])
        v_reset = field.get("v_reset", zero)
        current, leaks, fires = kind.startswith("Cuba"), kind not in ("I", "IF"), kind.endswith("F")
        share = dt / field["tau_mem" if current else "tau"] if leaks else zero
        synapse = dt / field["tau_syn"] if current else None
        self._hold("keep", np.maximum(1 - share, 0))  # rounding puts it below
        self._hold("gain", (share if leaks else dt) * field["r"])
        self._hold("rest", field["v_leak"] if leaks else v_reset)
        self._hold("keep_current", None if synapse is None else 1 - synapse)
        self._hold("current_gain", None if synapse is None else synapse * field.get("w_in", 1.0))
        self._hold("threshold", field["v_threshold"] if fires else None)
        self._hold("v_reset", v_reset + zero if fires else None)

    @property
    def size(self) -> int:
        """How many neurons have parameters of their own."""
        return self.keep.numel()

    def forward(self, trace: Tensor) -> tuple[Tensor | None, Tensor]:
        state, spikes, membranes = self.start(trace[0]), [], []
        for x in trace:
            spike, membrane, state = self.step(x, state)
            membranes.append(membrane)
            if spike is not None:
                spikes.append(spike)
        return torch.stack(spikes) if spikes else None, torch.stack(membranes)

    def start(self, x: Tensor) -> State:
        """The state before the first input, ``(B, ...)``."""
        shape = torch.broadcast_shapes(x.shape, self.keep.shape)
        return State(self.rest.expand(shape), x.new_zeros(shape))

    def step(self, x: Tensor, state: State) -> tuple[Tensor | None, Tensor, State]:
        """Spikes, the membrane that decided them, and the state after one time step."""
        v, current = state
        if self.keep_current is not None and self.current_gain is not None:
            current = x = self.keep_current * current + self.current_gain * x
        v = membrane = self.rest + self.keep * (v - self.rest) + self.gain * x
        if self.threshold is None or self.v_reset is None:
            return None, membrane, State(v, current)
        spike = _Spike.apply(v - self.threshold)  # type: ignore[no-untyped-call]
        lost = self.threshold - self.v_reset if self.subtracts else v - self.v_reset
        return spike, membrane, State(v - spike * lost, current)

    def describe(self) -> Neuron:
        """These neurons in terms of the operator.

        Raises:
            CannotLower: if the operator has no such neuron.
        """
        keep, rest = uniform("its leak", self.keep), uniform("v_leak", self.rest)
        synapse = current_gain = None
        if self.keep_current is not None and self.current_gain is not None:
            synapse = uniform("tau_syn", self.keep_current)
            current_gain = uniform("w_in", self.current_gain)
        threshold, how = 1.0, "none"
        if self.threshold is not None and self.v_reset is not None:
            v_reset = uniform("v_reset", self.v_reset)
            how = "subtract" if self.subtracts else "zero"
            threshold = above_rest(uniform("v_threshold", self.threshold) - rest)
            if self.subtracts and keep != 1:
                raise CannotLower(LEAKS_LAST)
            one_rest(rest, v_reset)
        return Neuron(
            beta=keep,
            threshold=threshold,
            reset=how,  # type: ignore[arg-type]
            reset_delay=how != "zero",  # without a leak a subtraction may as well wait
            gain=uniform("r", self.gain) * (current_gain or 1.0),
            synapse=synapse,
            fires=self.threshold is not None,
            rest=rest,
            charged=how == "zero",
        )

    def conventions(self) -> dict[str, Any]:
        """How these neurons are defined, for the report."""
        reset = "subtract" if self.subtracts else "to v_reset"
        return {
            "neuron": f"nir.{self.kind}",
            "fires": "never" if self.threshold is None else "above the threshold",
            "reset": "none" if self.threshold is None else reset,
            "reset_when": "with the spike",
            "input": "times dt * r" if self.kind in ("I", "IF") else "scaled by dt * r / tau",
            "surrogate": f"arctan, alpha {STAND_IN.alpha}; NIR states none",
        }

    def _hold(self, name: str, value: Any) -> None:
        tensor = None if value is None else torch.as_tensor(np.asarray(value, np.float64))
        self.register_buffer(name, tensor)


class _Spike(torch.autograd.Function):
    """Heaviside step, with the gradient of the stand-in surrogate."""

    @staticmethod
    def forward(ctx: Any, distance: Tensor) -> Any:
        ctx.save_for_backward(distance)
        return (distance > 0).to(distance.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (distance,) = ctx.saved_tensors
        gain, sharpness, linear = STAND_IN.coefficients
        q = sharpness * distance.abs()
        return gradient * gain / (1 + linear * q + q * q)
