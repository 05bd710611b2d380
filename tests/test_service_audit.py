"""Audits of a service: whose stages are kept, and what a check is told without a verdict."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from brainleaks.audit import audit
from brainleaks.errors import ServiceError
from brainleaks.pipeline import Cache

SETTINGS = (
    "judging=null",
    "evaluators.ann-conv.training.epochs=1",
    "draws=1",
    "attacks.score-evolution.probes=20",
    "attacks.score-evolution.iterations=2",
)


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 8)
    images = rng.random((24, 8, 8)).astype(np.float32) * 0.2
    images[np.arange(24), labels] += 0.7
    np.savez(tmp_path / "data.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    return tmp_path / "data.npz"


def service(weight):
    """The classes' rows, and beyond what the data shows whatever ``weight`` says."""

    def answer(images):
        rows = images[:, 0, :3].mean(2)
        unlike_the_data = (images.flatten(1).mean(1) > 0.45).float()[:, None]
        return torch.softmax(8 * rows + unlike_the_data * weight, 1)

    return answer


def attacked(weight, data, cache, **how):
    torch.manual_seed(0)
    outcome = audit(
        service(torch.tensor(weight)), data, framework="torch", access="scores",
        attacks=["score-evolution"], settings=SETTINGS, cache=cache, **how,
    ).outcome  # fmt: skip
    return outcome.reconstructions[0].values


ONE, OTHER = [5.0, 0.0, -5.0], [-5.0, 0.0, 5.0]


def test_another_service_with_the_same_first_answers_is_attacked_itself(tmp_path, data):
    """Answers to the data do not tell services apart; each is attacked anew."""
    cache = Cache(tmp_path / "store")
    first = attacked(ONE, data, cache)
    assert not list(cache.root.glob("attack-*"))
    fresh = attacked(OTHER, data, Cache(tmp_path / "other"))
    assert torch.equal(attacked(OTHER, data, cache), fresh)
    assert not torch.equal(first, fresh)


def test_a_service_with_an_id_is_attacked_once(tmp_path, data):
    cache = Cache(tmp_path / "store")
    first = attacked(ONE, data, cache, service_id="demo 1")
    assert len(list(cache.root.glob("attack-*.record"))) == 1
    assert torch.equal(attacked(ONE, data, cache, service_id="demo 1"), first)
    assert not torch.equal(attacked(OTHER, data, cache, service_id="demo 2"), first)
    assert len(list(cache.root.glob("attack-*.record"))) == 2


def test_a_service_that_fails_ends_the_audit_without_a_verdict(tmp_path, data):
    asked = []

    def answer(images):
        asked.append(1)
        if len(asked) > 5:
            raise SystemExit(0)
        return service(torch.tensor(ONE))(images)

    with pytest.raises(ServiceError, match="the function failed at query 6 with SystemExit"):
        audit(
            answer, data, framework="torch", access="scores", attacks=["score-evolution"],
            settings=SETTINGS, cache=Cache(tmp_path / "store"),
        )  # fmt: skip


COMMAND = ("audit", "--framework", "torch", "--access", "scores", "--attack", "score-evolution")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("raise SystemExit(0)", 3, "the function failed at query 1 with SystemExit"),
        ("return images.flatten(1)[:, :3] * float('nan')", 2, "expected finite scores"),
        ("return torch.softmax(8 * images[:, 0, :3].mean(2), 1)", 3, "Inconclusive"),
    ],
)
def test_no_verdict_is_no_pass(tmp_path, data, body, status, said):
    """A check that asks --fail-on is not told 0 where nothing was judged."""
    code = f"""
        import torch

        def build():
            def answer(images):
                {body}
            return answer
    """
    (tmp_path / "served.py").write_text(textwrap.dedent(code))
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    command = [sys.executable, "-m", "brainleaks", *COMMAND, "--factory", "served:build"]
    done = subprocess.run(
        [*command, "--data", str(data), "--fail-on", "leak", *settings],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == status, done.stderr
    assert said in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
