"""The leaky integrate-and-fire neuron: the equation, its surrogate derivatives, the module.

One call advances a layer through all its time steps::

    V[t] = beta * U[t-1] + I[t] - theta * R[t]      R[t] = 1 if U[t-1] > theta, no gradient
    S[t] = 1 if V[t] > theta                        dS/dV = the surrogate's derivative
    U[t] = V[t]                                     U[-1] = 0

This is the delayed, subtractive reset: a neuron that fires loses its threshold one step later.
The other resets change one line each:

========  ===========================================================
reset     membrane before firing
========  ===========================================================
subtract  ``V[t] = beta*U[t-1] + I[t] - theta*R[t]``
zero      ``V[t] = beta*(1 - R[t])*U[t-1] + I[t]``
none      ``V[t] = beta*U[t-1] + I[t]``
========  ===========================================================

and with ``reset_delay=False`` the reset happens in the step of the spike, except where the
membrane of the step before was still above the threshold and has already been reset:
``U[t] = V[t] - (S[t] - R[t]) * loss``, where ``loss`` is ``theta`` (subtract) or ``V[t]`` (zero)
and the gradient flows through ``S[t]``.

Values and gradients are those of ``snntorch.Leaky`` 1.0.0 (Eshraghian et al., "Training spiking
neural networks using lessons from deep learning", Proc. IEEE 2023), stepped in a loop.
"""

import functools
import math
import subprocess
from collections.abc import Callable
from typing import Annotated, Any, Literal

import torch
from annotated_types import Gt
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

try:
    from brainleaks.neuron import _cpu
    from brainleaks.neuron._threads import match_torch_threads
except (ImportError, RuntimeError):  # no compiler, or no place to keep its work: scan plainly
    _cpu = None  # type: ignore[assignment]

Reset = Literal["subtract", "zero", "none"]

_FROZEN = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, config=_FROZEN)
class FastSigmoid:
    """Surrogate derivative ``1 / (slope*|U - theta| + 1)^2`` (Zenke and Ganguli 2018)."""

    slope: Annotated[float, Gt(0)] = 25.0
    surrogate: Literal["fast-sigmoid"] = "fast-sigmoid"

    @property
    def coefficients(self) -> tuple[float, float, float]:
        """``gain, sharpness, linear``: ``gain / (1 + linear*q + q^2)``, ``q = sharpness*|d|``."""
        return 1.0, self.slope, 2.0


@dataclass(frozen=True, config=_FROZEN)
class ArcTan:
    """Surrogate derivative ``alpha/2 / (1 + (pi/2*alpha*(U - theta))^2)`` (Fang et al. 2021)."""

    alpha: Annotated[float, Gt(0)] = 2.0
    surrogate: Literal["arctan"] = "arctan"

    @property
    def coefficients(self) -> tuple[float, float, float]:
        """``gain, sharpness, linear``: ``gain / (1 + linear*q + q^2)``, ``q = sharpness*|d|``."""
        return self.alpha / 2, math.pi / 2 * self.alpha, 0.0


Surrogate = FastSigmoid | ArcTan


def lif(
    current: Tensor,
    *,
    beta: float,
    threshold: float = 1.0,
    surrogate: Surrogate,
    reset: Reset = "subtract",
    reset_delay: bool = True,
) -> tuple[Tensor, Tensor]:
    """Run leaky integrate-and-fire neurons over all time steps.

    Differentiable once, by the compiled recursion; and twice where the reset is delayed, by
    elementwise operations, one time step after the other. The second derivative of a spike is the
    derivative of its surrogate.

    Args:
        current: input current, ``(T, ...)``, floating point.
        beta: share of the membrane kept from one step to the next, in [0, 1].
        threshold: membrane above which (strictly) a neuron fires.
        surrogate: what stands for the spike's derivative in the backward pass.
        reset: what firing does to the membrane.
        reset_delay: whether it does so one step after the spike.

    Returns:
        ``(spikes, membrane)``, both of the shape and type of ``current``; a spike is 0 or 1.

    Raises:
        ValueError: if ``beta`` is outside [0, 1], ``reset`` is unknown, or ``current`` has no
            time axis or is not floating point.
    """
    if not 0.0 <= beta <= 1.0:
        raise ValueError(f"beta is {beta}; expected a value from 0 to 1.")
    if reset not in ("subtract", "zero", "none"):
        raise ValueError(f"reset is {reset!r}; expected 'subtract', 'zero' or 'none'.")
    if current.ndim == 0 or not current.is_floating_point():
        raise ValueError(
            f"current is a {current.dtype} tensor of shape {tuple(current.shape)}; "
            "expected floating point, with time first."
        )
    switches = (float(reset == "subtract"), float(reset == "zero"), float(not reset_delay))
    constants = (beta, threshold, *switches)
    spikes, membrane = _Scan.apply(current, constants, surrogate)  # type: ignore[no-untyped-call]
    return spikes, membrane


class LIF(nn.Module):
    """A layer of :func:`lif` neurons: ``(T, ...)`` currents to ``(spikes, membrane)``."""

    def __init__(
        self,
        *,
        beta: float,
        surrogate: Surrogate,
        threshold: float = 1.0,
        reset: Reset = "subtract",
        reset_delay: bool = True,
    ) -> None:
        super().__init__()
        self.beta = beta
        self.surrogate = surrogate
        self.threshold = threshold
        self.reset: Reset = reset
        self.reset_delay = reset_delay

    def forward(self, current: Tensor) -> tuple[Tensor, Tensor]:
        return lif(
            current,
            beta=self.beta,
            threshold=self.threshold,
            surrogate=self.surrogate,
            reset=self.reset,
            reset_delay=self.reset_delay,
        )

    def extra_repr(self) -> str:
        return (
            f"beta={self.beta}, threshold={self.threshold}, surrogate={self.surrogate}, "
            f"reset={self.reset!r}, reset_delay={self.reset_delay}"
        )


_Constants = tuple[float, float, float, float, float]  # beta, threshold, and the scan's switches


class _Scan(torch.autograd.Function):
    """The recursion as one node of the graph; it keeps the membrane and recomputes the rest."""

    @staticmethod
    def forward(ctx: Any, current: Tensor, constants: _Constants, surrogate: Surrogate) -> Any:
        forward, _ = _ways(current)
        spikes, before, membrane = forward(current.detach(), constants)
        ctx.save_for_backward(before, membrane)
        ctx.constants, ctx.surrogate = constants, surrogate
        ctx.set_materialize_grads(False)
        return spikes, membrane

    @staticmethod
    def backward(ctx: Any, grad_spikes: Tensor | None, grad_membrane: Tensor | None) -> Any:
        before, membrane = ctx.saved_tensors
        _, backward = _ways(before)
        if torch.is_grad_enabled():  # create_graph: this pass is to be differentiated again
            if ctx.constants[-1]:
                raise NotImplementedError(
                    "lif: second derivatives need a delayed reset; use reset_delay=True."
                )
            backward = _plain_backward
        coefficients = ctx.surrogate.coefficients
        grad = backward(grad_spikes, grad_membrane, before, membrane, ctx.constants, coefficients)
        return grad, None, None


def _ways(tensor: Tensor) -> tuple[Callable[..., Any], Callable[..., Tensor]]:
    """The recursion forward and backward, compiled where it can be."""
    if tensor.device.type == "cpu" and tensor.dtype in (torch.float32, torch.float64):
        if _cpu is not None:
            return _compiled_forward, _compiled_backward
    elif tensor.is_cuda and tensor.dtype == torch.float32:
        scan = _scan_on_gpu()
        if scan is not None:
            return scan.forward, scan.backward
    return _plain_forward, _plain_backward


@functools.cache
def _scan_on_gpu() -> Any:
    """The recursion compiled for the GPU; ``None`` where Triton or its compiler does not work."""
    try:
        from brainleaks.neuron import _gpu

        _gpu.forward(torch.zeros(1, 1, device="cuda"), (0.0,) * 5)
    except (ImportError, RuntimeError, OSError, subprocess.SubprocessError):
        return None
    return _gpu


def _plain_forward(current: Tensor, constants: _Constants) -> tuple[Tensor, Tensor, Tensor]:
    beta, threshold, subtract, zero, immediate = constants
    spikes, membrane = torch.empty_like(current), torch.empty_like(current)
    before = torch.empty_like(current) if immediate else membrane
    state = current.new_zeros(current.shape[1:])
    for t in range(len(current)):
        reset = (state > threshold).to(current.dtype)
        v = beta * (state * (1 - zero * reset)) + current[t] - reset * (subtract * threshold)
        spike = (v > threshold).to(current.dtype)
        state = v
        if immediate:
            before[t] = v
            state = v - (spike - reset) * (subtract * threshold + zero * v)
        spikes[t], membrane[t] = spike, state
    return spikes, before, membrane


def _plain_backward(
    grad_spikes: Tensor | None,
    grad_membrane: Tensor | None,
    before: Tensor,
    membrane: Tensor,
    constants: _Constants,
    coefficients: tuple[float, float, float],
) -> Tensor:
    beta, threshold, subtract, zero, immediate = constants
    gain, sharpness, linear = coefficients
    grad_current = []
    carry = before.new_zeros(before.shape[1:])
    for t in range(len(before) - 1, -1, -1):
        v = before[t]
        previous = membrane[t - 1] if t else torch.zeros_like(v)
        reset = (previous > threshold).to(v.dtype)
        spike = (v > threshold).to(v.dtype)
        q = sharpness * (v - threshold).abs()
        slope = gain / (1 + linear * q + q * q)
        if grad_membrane is not None:
            carry = carry + grad_membrane[t]
        lost = immediate * (subtract * threshold + zero * v)
        to_spike = -carry * lost if grad_spikes is None else grad_spikes[t] - carry * lost
        grad = carry * (1 - immediate * zero * (spike - reset)) + to_spike * slope
        grad_current.append(grad)
        carry = beta * grad * (1 - zero * reset)
    return torch.stack(grad_current[::-1]) if grad_current else torch.empty_like(before)


def _compiled_forward(current: Tensor, constants: _Constants) -> tuple[Tensor, Tensor, Tensor]:
    current = current.contiguous()
    spikes, membrane = torch.empty_like(current), torch.empty_like(current)
    before = current.new_empty(current.shape if constants[-1] else (0, 1))
    arrays = [_rows(a) for a in (current, spikes, before, membrane)]
    _call(_cpu.forward, arrays, constants)
    return spikes, before if constants[-1] else membrane, membrane


def _compiled_backward(
    grad_spikes: Tensor | None,
    grad_membrane: Tensor | None,
    before: Tensor,
    membrane: Tensor,
    constants: _Constants,
    coefficients: tuple[float, float, float],
) -> Tensor:
    grad_current = torch.empty_like(before)
    absent = before.new_empty((0, 1))
    gradients = [absent if g is None else g.contiguous() for g in (grad_spikes, grad_membrane)]
    arrays = [_rows(a) for a in (grad_current, *gradients, before, membrane)]
    _call(_cpu.backward, arrays, constants + coefficients)
    return grad_current


def _rows(tensor: Tensor) -> Any:
    """``(T, ...)`` as a NumPy ``(T, N)`` array on the same memory."""
    return tensor.reshape(len(tensor), -1).numpy() if len(tensor) else tensor.numpy()


def _call(kernel: Callable[..., None], arrays: list[Any], constants: tuple[float, ...]) -> None:
    """Run a kernel on as many threads as torch uses, with constants of the arrays' type."""
    scalar = arrays[0].dtype.type
    match_torch_threads()
    kernel(*arrays, *map(scalar, constants))
