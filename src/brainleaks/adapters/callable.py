"""A function that returns only scores or labels, such as a client of a service."""

import time
from collections.abc import Callable
from math import prod
from typing import Any, Literal

import torch
from torch import Tensor, nn

from brainleaks.errors import AccessError, InputError, ServiceError, first_line
from brainleaks.networks import Response
from brainleaks.networks.views import logits_of

Gives = Literal["scores", "labels"]

#: Seconds before a query that failed is asked again: a service may be away for a moment.
_PAUSES = (0.5, 2.0)
#: By how much the probabilities of an input may miss a sum of 1.
_ROUNDING = 1e-3


class Service(nn.Module):
    """A function of inputs as a network; a backward pass through it raises.

    Each query that fails is asked again twice, and each answer is checked.

    Args:
        ask: takes what the network takes, ``(T, B, C, H, W)`` or ``(B, C, H, W)``, and answers
            with labels ``(B,)``, or with scores ``(B, classes)``: probabilities or logits; of two
            classes also ``(B,)`` or ``(B, 1)``, for the second.
        samples: inputs to find out by what it answers.
        classes: how many classes there are.

    Raises:
        InputError: if it answers with anything else.
    """

    def __init__(self, ask: Callable[[Tensor], Any], samples: Tensor, classes: int) -> None:
        super().__init__()

        # a function is never copied with the network; what holds a connection cannot be
        def asked(inputs: Tensor) -> Any:
            return ask(inputs)

        self.ask = asked
        self.classes = classes
        self.spiking = samples.ndim == 5
        self.activations = prod(samples.shape[-3:])
        # a target asks for the device of the weights
        self.place = nn.Parameter(torch.zeros(()), requires_grad=False)
        self._queries = 0
        batch = samples.shape[-4]
        self._single: Literal["scores", "probability"] | None = None
        first = self._tensor(samples)
        if classes == 2 and first.is_floating_point() and first.shape in ((batch,), (batch, 1)):
            within = bool(((first >= 0) & (first <= 1)).all())
            self._single = "probability" if within else "scores"
        answer = self._paired(first)
        if not _is_answer(answer, (batch,), labels_of=classes) and not _is_answer(
            answer, (batch, classes)
        ):
            raise InputError(
                f"for a batch of {batch} inputs the function returned a {answer.dtype} array of "
                f"shape {tuple(answer.shape)}; expected finite scores ({batch}, {classes}) or "
                f"labels ({batch},) from 0 to {classes - 1}."
            )
        self.gives: Gives = "scores" if answer.is_floating_point() else "labels"
        self.normalised = self.gives == "scores" and _are_probabilities(answer)

    def forward(self, inputs: Tensor) -> Response:
        answer = self._answer(inputs)
        if self.gives == "labels":
            logits = nn.functional.one_hot(answer.long(), self.classes).float()
        else:
            logits = answer.float()
            # the softmax of these is the probabilities
            logits = logits.clamp_min(1e-30).log() if self.normalised else logits
        if inputs.requires_grad:
            logits = _Opaque.apply(logits, inputs)  # type: ignore[no-untyped-call]
        return Response(None, logits.unsqueeze(0))

    def _answer(self, inputs: Tensor) -> Tensor:
        """A validated output: scores ``(B, classes)`` or labels ``(B,)``."""
        answer, batch = self._paired(self._tensor(inputs)), inputs.shape[-4]
        labels = self.gives == "labels"
        shape = (batch,) if labels else (batch, self.classes)
        if not _is_answer(answer, shape, labels_of=self.classes if labels else None):
            expected = f"labels {shape} from 0 to {self.classes - 1}" if labels else f"{shape}"
            raise ServiceError(
                f"at query {self._queries} the function returned {_described(answer)}; expected "
                f"{'' if labels else 'finite scores '}{expected}, as before."
            )
        if self.normalised and not _are_probabilities(answer):
            raise ServiceError(
                f"at query {self._queries} the function returned scores that are not "
                "probabilities; earlier scores were between 0 and 1 and summed to 1 for each input."
            )
        return answer

    def _paired(self, answer: Tensor) -> Tensor:
        """One value a sample as the scores of two classes."""
        if self._single is None or answer.ndim == 0 or answer.numel() != len(answer):
            return answer
        column = answer.reshape(-1, 1)
        if self._single == "probability":
            return torch.cat([1 - column, column], 1)
        return logits_of(column, probability=False)

    def _tensor(self, inputs: Tensor) -> Tensor:
        self._queries += 1
        answer = self._asked(inputs.detach())
        try:
            return torch.as_tensor(answer)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ServiceError(
                f"at query {self._queries} the function returned a {type(answer).__name__}; "
                "expected an array of scores or labels."
            ) from error

    def _asked(self, inputs: Tensor) -> Any:
        """The output of the function; a failing call is repeated after a pause."""
        for pause in (*_PAUSES, None):
            try:
                return self.ask(inputs)
            except (KeyboardInterrupt, MemoryError):
                raise
            except BaseException as error:  # SystemExit is a failure too, and no success
                if pause is None or not isinstance(error, Exception):
                    raise ServiceError(
                        f"the function failed at query {self._queries} with "
                        f"{type(error).__name__}: {first_line(error)}. Make it respond, then run "
                        "the same command again."
                    ) from error
                time.sleep(pause)
        raise AssertionError  # the last pause is None


def _is_answer(answer: Tensor, shape: tuple[int, ...], labels_of: int | None = None) -> bool:
    """Whether an output is labels of so many classes, or finite scores."""
    if tuple(answer.shape) != shape or answer.is_complex() or answer.dtype == torch.bool:
        return False
    if labels_of is None:
        return answer.is_floating_point() and bool(answer.isfinite().all())
    whole = not answer.is_floating_point()
    return whole and bool((answer >= 0).all()) and bool((answer < labels_of).all())


def _are_probabilities(answer: Tensor) -> bool:
    rows = answer.float()
    return bool((rows >= 0).all()) and bool((rows.sum(1) - 1).abs().max() < _ROUNDING)


def _described(answer: Tensor) -> str:
    found = f"a {answer.dtype} array of shape {tuple(answer.shape)}"
    if answer.is_floating_point() and not answer.isfinite().all():
        return f"{found} with NaN or infinity"
    if answer.numel() and not answer.is_complex() and not answer.is_floating_point():
        return f"{found} with values from {answer.min().item()} to {answer.max().item()}"
    return found


class _Opaque(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, inputs: Tensor) -> Any:
        return logits.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        raise AccessError(
            "this model is a function that shows no gradients; attack it with an attack that "
            "needs only its scores or labels."
        )
