"""A function that answers: each of its answers is checked, and what fails is said to be it."""

import pytest
import torch

from brainleaks.adapters import callable as module
from brainleaks.adapters.callable import Service
from brainleaks.errors import InputError, ServiceError

IMAGES = torch.rand(4, 1, 2, 3)
CLASSES = 3


def scores(inputs):
    return torch.softmax(inputs.flatten(1)[:, :CLASSES], 1)


def labels(inputs):
    return scores(inputs).argmax(1)


def then(good, bad, after=1):
    """A function that answers well so often, and then otherwise."""
    asked = []

    def answer(inputs):
        asked.append(len(inputs))
        return good(inputs) if len(asked) <= after else bad(inputs)

    return answer


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(module, "_PAUSES", (0.0, 0.0))


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        (scores, lambda x: scores(x) * torch.nan, "with NaN or infinity; expected finite scores"),
        (scores, lambda x: scores(x)[:, :2], r"shape \(4, 2\); expected finite scores \(4, 3\)"),
        (scores, lambda x: scores(x)[:2], r"shape \(2, 3\)"),
        (scores, lambda x: None, "returned a NoneType; expected an array"),
        (scores, lambda x: {"scores": 1}, "returned a dict"),
        (scores, lambda x: "sorry", "returned a str"),
        (scores, labels, r"torch.int64 array of shape \(4,\).*finite scores"),
        (scores, lambda x: scores(x) + 1, "not probabilities; earlier scores were"),
        (scores, lambda x: scores(x).to(torch.complex64), "complex64"),
        (labels, lambda x: labels(x) + CLASSES, "expected labels .* from 0 to 2"),
        (labels, lambda x: labels(x) - 5, "with values from -"),
        (labels, lambda x: labels(x).float(), "torch.float32"),
        (labels, lambda x: labels(x) > 0, "torch.bool"),
    ],
)
def test_a_later_answer_that_is_none_is_named(good, bad, said):
    asked = Service(then(good, bad), IMAGES, CLASSES)
    with pytest.raises(ServiceError, match=f"query 2 .*{said}"):
        asked(IMAGES)


def failing(error):
    def fail(inputs):
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionResetError(104, "Connection reset by peer"), "ConnectionResetError"),
        (OSError("no route"), "OSError: no route"),
        (SystemExit(0), "SystemExit"),
        (RuntimeError("\x1b[31m"), r"\\x1b\[31m"),
        (GeneratorExit(), "GeneratorExit"),
    ],
)
def test_a_query_that_fails_is_the_services(error, said):
    asked = Service(then(scores, failing(error)), IMAGES, CLASSES)
    with pytest.raises(ServiceError, match=f"the function failed at query 2 with .*{said}"):
        asked(IMAGES)


def test_an_interruption_by_the_user_stays_one():
    asked = Service(then(scores, failing(KeyboardInterrupt())), IMAGES, CLASSES)
    with pytest.raises(KeyboardInterrupt):
        asked(IMAGES)


def test_a_service_that_is_away_for_a_moment_is_asked_again():
    failures = [TimeoutError("slow"), ConnectionError("gone")]

    def away(inputs):
        if failures:
            raise failures.pop()
        return scores(inputs)

    asked = Service(then(scores, away), IMAGES, CLASSES)
    torch.testing.assert_close(asked(IMAGES).membrane[0].softmax(1), scores(IMAGES))


@pytest.mark.parametrize(
    "answer", [lambda x: None, lambda x: scores(x) * torch.nan, failing(OSError())]
)
def test_a_first_answer_that_is_none_is_refused(answer):
    with pytest.raises(InputError):
        Service(answer, IMAGES, CLASSES)
