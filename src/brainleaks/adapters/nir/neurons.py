"""NIR's neurons by forward Euler steps, and in terms of the fused operator."""

from typing import Any, Literal

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


class Dynamics(nn.Module):
    """A layer of NIR's neurons in steps of ``dt``: currents ``(T, B, ...)`` to spikes, membrane.

    The answer of ``LI`` is its membrane; its spikes are ``None``.
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
        share = zero if kind == "IF" else dt / field["tau_mem" if kind == "CubaLIF" else "tau"]
        synapse = dt / field["tau_syn"] if kind == "CubaLIF" else None
        self._hold("keep", np.maximum(1 - share, 0))  # rounding puts it below
        self._hold("gain", (dt if kind == "IF" else share) * field["r"])
        self._hold("rest", v_reset if kind == "IF" else field["v_leak"])
        self._hold("keep_current", None if synapse is None else 1 - synapse)
        self._hold("current_gain", None if synapse is None else synapse * field.get("w_in", 1.0))
        self._hold("threshold", None if kind == "LI" else field["v_threshold"])
        self._hold("v_reset", None if kind == "LI" else v_reset + zero)

    @property
    def size(self) -> int:
        """How many neurons have parameters of their own."""
        return self.keep.numel()

    def forward(self, trace: Tensor) -> tuple[Tensor | None, Tensor]:
        shape = torch.broadcast_shapes(trace.shape[1:], self.keep.shape)
        v = self.rest.expand(shape)
        current = trace.new_zeros(shape)
        spikes, membranes = [], []
        for x in trace:
            if self.keep_current is not None:
                current = x = self.keep_current * current + self.current_gain * x
            v = self.rest + self.keep * (v - self.rest) + self.gain * x
            membranes.append(v)
            if self.threshold is not None and self.v_reset is not None:
                spike = _Spike.apply(v - self.threshold)  # type: ignore[no-untyped-call]
                spikes.append(spike)
                lost = self.threshold - self.v_reset if self.subtracts else v - self.v_reset
                v = v - spike * lost
        return torch.stack(spikes) if spikes else None, torch.stack(membranes)

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
            "input": "times dt * r" if self.kind == "IF" else "scaled by dt * r / tau",
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
