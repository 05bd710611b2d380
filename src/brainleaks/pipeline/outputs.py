"""What a model from elsewhere answers, and the sentences for what is no answer."""

from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from brainleaks.attacks.objectives import confidence
from brainleaks.errors import InputError, first_line, option
from brainleaks.evaluation.class_content import bar
from brainleaks.networks import Response, respond

#: By how much more another order of the classes must explain the answers to be the right one.
_CLEARLY = 0.25


def check_answers(network: nn.Module, samples: Tensor, classes: int) -> None:
    """Refuse a model that does not take the data, or answers in another form or with NaN.

    Args:
        network: the model.
        samples: ``(T, B, *input_shape)`` or ``(B, *input_shape)``.
        classes: of the data.

    Raises:
        InputError: saying what it does.
    """
    shape = tuple(samples.shape)
    axes = "(T, B, C, H, W)" if samples.ndim == 5 else "(B, C, H, W)"
    try:
        with torch.no_grad():
            output = network.eval()(samples.to(_device_of(network)))
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"the model does not take inputs {axes} of {shape}: {first_line(error)}. Give the "
            f"data as it was trained on: look at {option('encoding')}, {option('steps')}, "
            f"{option('channels')}, {option('sensor')} and {option('polarity')}."
        ) from error
    trace, dims = (output.membrane, 3) if isinstance(output, Response) else (output, 2)
    batch = shape[1 if samples.ndim == 5 else 0]
    if not isinstance(trace, Tensor) or trace.ndim != dims or trace.shape[-2] != batch:
        found = tuple(trace.shape) if isinstance(trace, Tensor) else type(trace).__name__
        raise InputError(
            f"the model returned {found} for inputs {axes} of {shape}; expected (T, B, classes) "
            "or (B, classes)."
        )
    check_finite(trace)
    if trace.shape[-1] != classes:
        raise InputError(
            f"the model has {trace.shape[-1]:,} outputs but the data has {classes:,} classes; give "
            "data of all its classes, or a model of those of the data."
        )


def check_finite(answers: Tensor) -> None:
    """Refuse answers with NaN.

    Raises:
        InputError: if there are some.
    """
    if not answers.isfinite().all():
        raise InputError(
            "the model returns NaN or infinity for samples of the data; its weights are damaged, "
            "or its inputs differ from those it was trained on."
        )


def _device_of(network: nn.Module) -> torch.device:
    found = next(network.parameters(), None)
    return torch.device("cpu") if found is None else found.device


def gradient_of(network: nn.Module, inputs: Tensor) -> Tensor:
    """The gradient of the confidence in the first class on the inputs.

    Raises:
        InputError: if there is none, or it holds NaN.
    """
    asked = inputs.clone().requires_grad_()
    try:
        response = respond(network, asked)
        labels = torch.zeros(response.membrane.shape[1], dtype=torch.long, device=asked.device)
        (gradient,) = torch.autograd.grad(confidence(response, labels).sum(), asked)
    except RuntimeError as error:
        raise InputError(
            f"{option('access', 'gradients')}: the model's outputs cannot be differentiated "
            f"({first_line(error)}); use {option('access', 'scores')} or "
            f"{option('access', 'labels')}."
        ) from error
    if not gradient.isfinite().all():
        raise InputError(
            f"{option('access', 'gradients')}: the model's gradients hold NaN or infinity."
        )
    return gradient


def check_order(named: Tensor, labels: Tensor, names: tuple[str, ...]) -> None:
    """Refuse a model that recognises the classes, but numbers them in another order.

    Args:
        named: the class that it names, one a sample.
        labels: the class of each.
        names: of the classes, in the order of the labels.

    Raises:
        InputError: with the order to give.
    """
    classes = len(names)
    table = torch.zeros(classes, classes)
    table.index_put_((labels, named), torch.ones(len(labels)), accumulate=True)
    own, theirs = linear_sum_assignment(table.numpy(), maximize=True)
    as_is, reordered = (float(table[own, other].sum() / len(labels)) for other in (own, theirs))
    if as_is < bar(classes) <= reordered and reordered - as_is > _CLEARLY:
        order = {int(number): names[label] for label, number in zip(own, theirs, strict=True)}
        given = option("classes", [order[number] for number in range(classes)])
        raise InputError(
            f"the model recognises {as_is:.2f} of the test samples, but {reordered:.2f} if its "
            f"classes are in another order than the data's: use {given}"
        )


def hear(heard: Any, values: Tensor) -> None:
    """Add a tensor's shape, type and bytes to a hash."""
    heard.update(repr((tuple(values.shape), values.dtype)).encode())
    heard.update(values.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)


def share(named: Tensor, labels: Tensor) -> float:
    """The share of samples whose named class is their label."""
    return float((named == labels).double().mean())
