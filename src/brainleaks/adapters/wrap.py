"""Wrapping: a module of any framework, with its loop over time, its state and its outputs."""

import inspect
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from brainleaks.adapters.order import TIME_FIRST, Order
from brainleaks.adapters.trace import parts_of
from brainleaks.errors import InputError, first_line, option
from brainleaks.networks import Response

_BATCH_FIRST = (Order(batch_first=True),)
#: Axes before the shape of a sample, of spike trains ``(T, B, ...)``.
_SPIKES = 2


@dataclass(frozen=True)
class Call:
    """How to call a module, found by trying (:func:`find_call`).

    Args:
        loops: whether the adapter runs the loop over time, because the module makes one step.
        flat: whether the module takes its inputs flattened, ``(..., D)``.
        states: how many further arguments the module wants; its neurons keep their own state, and
            are asked to by ``None``.
        carries: whether the module takes its state and gives it back, as Norse's do.
        spikes: which of the answers are the output spikes; ``None`` if none.
        membrane: which are the membrane, logits, or rates; ``None`` if none.
        single: whether it answers with one value for two classes.
        order: of the axes of its inputs and outputs.
    """

    loops: bool
    flat: bool
    states: int
    carries: bool
    spikes: int | None = None
    membrane: int | None = None
    single: bool = False
    order: Order = TIME_FIRST


class Original(nn.Module):
    """A network that its own framework runs, with the interface of a target.

    Args:
        module: the network, in eval mode.
        framework: the adapter that knows its neurons.
        call: how it is to be called.
        spiking: whether its inputs are spike trains ``(T, B, ...)`` rather than images.
        activations: values kept for one input and time step during a backward pass.
    """

    def __init__(
        self,
        module: nn.Module,
        framework: ModuleType,
        call: Call,
        *,
        spiking: bool,
        activations: int,
    ) -> None:
        super().__init__()
        self.module = module
        self.call = call
        self.spiking = spiking
        self.activations = activations
        self._forget: Callable[[nn.Module], None] = framework.forget
        self._resize: Callable[[nn.Module, int], None] = framework.resize

    def forward(self, inputs: Tensor) -> Response:
        answers = run(self.module, self._forget, self._resize, self.call, inputs)
        if self.call.single:
            answers = [_as_column(answer, inputs) for answer in answers]
        spikes = None if self.call.spikes is None else answers[self.call.spikes]
        if self.call.membrane is None and spikes is not None:
            return Response(spikes, spikes)
        membrane = answers[self.call.membrane or 0]
        return Response(spikes, membrane if membrane.ndim == 3 else membrane.unsqueeze(0))


def run(
    module: nn.Module,
    forget: Callable[[nn.Module], None],
    resize: Callable[[nn.Module, int], None],
    call: Call,
    inputs: Tensor,
) -> list[Tensor]:
    """Call a module from a reset state, and reset it again; returns its outputs, time first."""
    lead = inputs.ndim - 3
    inputs = inputs.flatten(lead) if call.flat else inputs
    forget(module)
    try:
        if not call.loops:
            resize(module, inputs.shape[lead - 1])
            answers = _tensors(module(_put(inputs, lead, call.order), *[None] * call.states))
            return [_take(answer, inputs, lead, call.order) for answer in answers]
        steps, state = [], None
        for step in inputs:
            carried = (state,) if call.carries else ()
            output = module(step, *carried, *[None] * call.states)
            state = output[1] if call.carries else None
            steps.append(_tensors(output))
        return [torch.stack(trace) for trace in zip(*steps, strict=True)]
    finally:
        forget(module)  # its state hangs on the graph of this call, and cannot be copied


def _put(inputs: Tensor, lead: int, order: Order) -> Tensor:
    """Spike trains in a framework's order of axes."""
    return order.put(inputs) if lead == _SPIKES else inputs


def _take(answer: Tensor, inputs: Tensor, lead: int, order: Order) -> Tensor:
    """An answer with time first, if it has time."""
    taken = order.take(answer, *inputs.shape[:2]) if lead == _SPIKES else None
    return answer if taken is None else taken


def find_call(module: nn.Module, framework: ModuleType, samples: Tensor, classes: int) -> Call:
    """Find how a module takes these samples, and which of its outputs to use.

    Args:
        module: the network, in eval mode.
        framework: the adapter that knows its neurons.
        samples: ``(T, B, C, H, W)`` spikes or ``(B, C, H, W)`` images, a few of them.
        classes: how many classes the network is to tell apart.

    Raises:
        InputError: if it takes them in no way, or answers with something else than
            ``(T, B, classes)`` or ``(B, classes)``, or with NaN.
    """
    errors, unfit = [], list[InputError]()
    for call in _ways(module, framework, samples):
        try:
            with counted(module, framework.makes_one_step) as counts, torch.no_grad():
                answers = run(module, framework.forget, framework.resize, call, samples)
        except Exception as error:  # whatever a stranger's forward pass raises
            errors.append((call, error))
            continue
        # single-step neurons that were asked once for a whole recording took time for batch
        if call.loops or samples.ndim == 4 or all(n >= len(samples) for n in counts.values()):
            try:
                _check_apart(module, framework, call, samples, answers)
                return _read(call, answers, samples, classes, _hint(framework, samples))
            except InputError as error:
                unfit.append(error)
    if unfit:
        raise unfit[0]
    shape = tuple(samples.shape[-3:])
    said = next((e for call, e in reversed(errors) if not call.flat), "it makes one step a call")
    hint = _hint(framework, samples) or " Give data of the size that it was trained on."
    raise InputError(
        f"{type(module).__name__} does not take inputs of shape {shape}, nor flattened: "
        f"{first_line(said)}.{hint}"
    )


@contextmanager
def counted(module: nn.Module, which: Callable[[nn.Module], bool]) -> Any:
    """Count how often each of some modules is called: ``{name: times}``."""
    counts = {name: 0 for name, part in module.named_modules() if which(part)}

    def counting(name: str) -> Any:
        def count(*_: Any) -> None:
            counts[name] += 1

        return count

    hooks = [module.get_submodule(name).register_forward_hook(counting(name)) for name in counts]
    try:
        yield counts
    finally:
        for hook in hooks:
            hook.remove()


def _ways(module: nn.Module, framework: ModuleType, samples: Tensor) -> list[Call]:
    """The ways to call a module that are worth trying, in order."""
    wanted = _wanted(module)
    carries = "state" in inspect.signature(module.forward).parameters
    one_step = any(framework.makes_one_step(part) for part in parts_of(module))
    in_a_row = _is_in_a_row(samples)  # most take channels as they are, some the batch first
    loops = (False, True) if one_step and samples.ndim == 5 else (False,)
    return [
        Call(loop, flat, 0 if carries else wanted, carries and loop, order=order)
        for loop in loops
        for order in (framework.orders(module) + (_BATCH_FIRST if in_a_row else ()))
        for flat in ((True, False) if in_a_row else (False, True))
    ]


def _is_in_a_row(samples: Tensor) -> bool:
    """Whether each time step is a row of channels."""
    return samples.ndim == 5 and samples.shape[-3:-1] == (1, 1)


def _check_apart(
    module: nn.Module, framework: ModuleType, call: Call, samples: Tensor, answers: list[Tensor]
) -> None:
    """Refuse a call that takes the batch for time: its answers depend on the order of samples."""
    if not _is_in_a_row(samples) or not answers:
        return
    with torch.no_grad():
        flipped = run(module, framework.forget, framework.resize, call, samples.flip(1))[-1]
    axis = 1 if answers[-1].ndim == 3 else 0
    if flipped.shape == answers[-1].shape and not torch.allclose(flipped.flip(axis), answers[-1]):
        raise InputError(
            "the network's answer to a sample depends on the other samples of the batch; it must "
            "take (T, B, channels) or (B, T, channels), and answer each sample alone."
        )


def _wanted(module: nn.Module) -> int:
    """The number of arguments that a module takes besides its input."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(module.forward).parameters.values()
    required = [p for p in parameters if p.kind in kinds and p.default is p.empty]
    return max(0, len(required) - 1)


def _hint(framework: ModuleType, samples: Tensor) -> str:
    """What to do if an ordinary network was given spike trains; nothing if it is none."""
    if framework.NAME != "torch" or samples.ndim == 4:
        return ""
    return (
        " It has no layers of a spiking framework: if it takes images, as ordinary networks do, "
        f"give {option('framework', 'torch')} or {option('encoding', 'none')}."
    )


def _read(call: Call, answers: Sequence[Tensor], samples: Tensor, classes: int, hint: str) -> Call:
    """Decide which outputs are the spikes and the membrane."""
    batch = samples.shape[-4]
    spiking = samples.ndim == 5
    single = classes == 2 and not any(answer.shape[-1:] == (2,) for answer in answers)
    if single:
        answers, classes = [_as_column(answer, samples) for answer in answers], 1
    leads = [(len(samples), batch), (batch,)] if spiking else [(batch,)]
    outputs = [
        i
        for i, a in enumerate(answers)
        if a.shape[:-1] in leads or (not spiking and a.ndim == 3 and a.shape[1] == batch)
    ]
    if not outputs:
        shapes = ", ".join(str(tuple(a.shape)) for a in answers) or "no tensor"
        leading = f"{len(samples)}, " if spiking else ""
        raise InputError(
            f"for a batch of {batch} inputs the network returned {shapes}; expected a tensor of "
            f"shape ({leading}{batch}, {classes}) or ({batch}, {classes}), or a tuple of such "
            f"spikes and membrane.{hint}"
        )
    fitting = [i for i in outputs if answers[i].shape[-1] == classes]
    if not fitting:
        raise InputError(
            f"the model has {answers[outputs[-1]].shape[-1]} outputs but the data has "
            f"{2 if single else classes} classes; use the data that the model was trained on."
        )
    for i in fitting:
        if not answers[i].isfinite().all():
            raise InputError(
                "the network returns NaN or infinity; check its weights and its inputs."
            )
    spikes = [i for i in fitting if answers[i].ndim == 3 and _is_binary(answers[i])]
    others = [i for i in fitting if i not in spikes]
    return Call(
        call.loops,
        call.flat,
        call.states,
        call.carries,
        spikes[-1] if spikes else None,  # state of earlier layers, or a current, come before
        others[-1] if others else None,
        single,
        call.order,
    )


def _as_column(answer: Tensor, inputs: Tensor) -> Tensor:
    """One value a sample, ``(T, B)`` or ``(B,)``, with a last axis of one."""
    batch = inputs.shape[-4]
    leads = [(batch,)] if inputs.ndim == 4 else [(len(inputs), batch), (batch,)]
    return answer.unsqueeze(-1) if tuple(answer.shape) in leads else answer


def _tensors(output: Any) -> list[Tensor]:
    """The tensors of a module's answer: alone, or in a tuple with what is no tensor left out."""
    parts = output if isinstance(output, tuple) else (output,)
    traces = [_stacked(part) if isinstance(part, list) else part for part in parts]
    return [trace for trace in traces if isinstance(trace, Tensor)]


def _stacked(steps: list[Any]) -> Tensor | None:
    """A list of one tensor a time step as one."""
    shapes = {step.shape if isinstance(step, Tensor) else None for step in steps}
    return torch.stack(steps) if len(shapes) == 1 and None not in shapes else None


def _is_binary(trace: Tensor) -> bool:
    return bool(((trace == 0) | (trace == 1)).all())
