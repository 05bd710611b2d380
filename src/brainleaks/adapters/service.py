"""A function that answers with scores or labels and shows nothing else, such as a service."""

from collections.abc import Callable
from math import prod
from typing import Any, Literal

import torch
from torch import Tensor, nn

from brainleaks.errors import AccessError, InputError
from brainleaks.networks import Response

Gives = Literal["scores", "labels"]


class Service(nn.Module):
    """A function of inputs as a network; a backward pass through it raises.

    Args:
        ask: takes what the network takes, ``(T, B, C, H, W)`` or ``(B, C, H, W)``, and answers
            with labels ``(B,)``, or with scores ``(B, classes)``: probabilities or logits.
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
        batch = samples.shape[-4]
        answer = self._answer(samples)
        whole = not answer.is_floating_point()
        if whole and answer.shape == (batch,) and answer.min() >= 0 and answer.max() < classes:
            self.gives: Gives = "labels"
        elif answer.shape == (batch, classes) and bool(answer.isfinite().all()):
            self.gives = "scores"
        else:
            raise InputError(
                f"the function answers {batch} inputs by a {answer.dtype} array of shape "
                f"{tuple(answer.shape)}; expected finite scores ({batch}, {classes}) or labels "
                f"({batch},) from 0 to {classes - 1}."
            )
        rows = answer.float()
        self.normalised = self.gives == "scores" and bool(
            (rows >= 0).all() and (rows.sum(1) - 1).abs().max() < 1e-3
        )

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
        return torch.as_tensor(self.ask(inputs.detach()))


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
