"""One output for two classes."""

import numpy as np
import pytest
import torch
from torch import nn

from brainleaks.adapters import adapt
from brainleaks.audit import audit
from brainleaks.data import digits
from brainleaks.errors import InputError
from brainleaks.networks import respond
from brainleaks.pipeline import Cache

IMAGES = torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(0))


class Functional(nn.Module):
    """A sigmoid that is no layer, and an answer without a last axis."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 1)

    def forward(self, images):
        return torch.sigmoid(self.fc(images.flatten(1))).squeeze(-1)


def flat(*layers):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 1), *layers)


@pytest.mark.parametrize(
    ("module", "probability"),
    [(flat(), False), (flat(nn.Sigmoid()), True), (Functional(), True)],
)
def test_its_sigmoid_is_the_confidence_in_the_second_class(module, probability):
    adapted = adapt(module, samples=IMAGES, classes=2)
    confidence = respond(adapted.network, IMAGES).membrane[0].softmax(-1)
    answer = module(IMAGES).flatten()
    expected = answer if probability else answer.sigmoid()
    torch.testing.assert_close(confidence[:, 1], expected)
    said = "probability" if probability else "logit"
    assert f"its one output is taken as the {said} of the second class." in adapted.facts["notes"]


def test_a_spiking_network_with_one_output_is_lowered():
    snntorch = pytest.importorskip("snntorch")
    torch.manual_seed(1)
    module = nn.Sequential(
        nn.Flatten(), nn.Linear(16, 20), snntorch.Leaky(beta=0.9, init_hidden=True),
        nn.Linear(20, 1), snntorch.Leaky(beta=0.9, init_hidden=True, output=True),
    )  # fmt: skip
    spikes = (torch.rand(7, 4, 1, 4, 4) < 0.5).float()
    adapted = adapt(module, samples=spikes, classes=2)
    assert adapted.lowered, adapted.facts["why_not_lowered"]
    fired, membrane = respond(adapted.network, spikes)
    pytest.importorskip("snntorch.utils").reset(module)
    answers = [module(step) for step in spikes]
    own = torch.stack([spk for spk, _ in answers])
    assert torch.equal(fired, torch.cat([1 - own, own], -1))
    torch.testing.assert_close(membrane[..., 1:], torch.stack([mem for _, mem in answers]))
    assert not membrane[..., 0].any()
    assert hasattr(adapted.network.network, "drive")


@pytest.mark.parametrize("form", [lambda p: p, lambda p: p[:, None]])
def test_a_function_of_one_score(form):
    adapted = adapt(lambda x: form(x.mean((1, 2, 3))), samples=IMAGES, classes=2)
    confidence = respond(adapted.network, IMAGES).membrane[0].softmax(-1)
    torch.testing.assert_close(confidence[:, 1], IMAGES.mean((1, 2, 3)))
    logits = adapt(lambda x: form(9 * x.mean((1, 2, 3))), samples=IMAGES, classes=2)
    confidence = respond(logits.network, IMAGES).membrane[0].softmax(-1)
    torch.testing.assert_close(confidence[:, 1], (9 * IMAGES.mean((1, 2, 3))).sigmoid())


def test_more_classes_need_more_outputs():
    with pytest.raises(InputError, match="has 1 outputs but the data has 3 classes"):
        adapt(flat(), samples=IMAGES, classes=3)


def test_an_audit_of_two_classes(tmp_path):
    """Membership is decided, and it is said why class content is not."""
    torch.set_num_threads(1)
    data = digits.load(tmp_path)
    arrays = {}
    for part in ("train", "test"):
        some = getattr(data, part)
        kept = some.labels < 2
        arrays |= {f"x_{part}": some.inputs[kept].numpy(), f"y_{part}": some.labels[kept].numpy()}
    np.savez(tmp_path / "two.npz", **arrays)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
    images, labels = torch.from_numpy(arrays["x_train"]), torch.from_numpy(arrays["y_train"])
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        answer = network(images).flatten()
        nn.functional.binary_cross_entropy_with_logits(answer, labels.float()).backward()
        optimiser.step()
    outcome = audit(
        network, str(tmp_path / "two.npz"), encoding="none", cache=Cache(tmp_path / "store"),
        attacks=["fredrikson", "loss-threshold"],
        settings=[
            "judging={judge_steps: 60, reconstructions: 1}", "membership.samples=60",
            "attacks.fredrikson.iterations=50",
        ],
    ).outcome  # fmt: skip
    assert outcome.target.facts["test_accuracy"] > 0.95
    by_level = {claim["level"]: claim for claim in outcome.verdict["claims"]}
    assert by_level[3]["shown"] is not None
    assert by_level[1]["shown"] is None
    assert not outcome.failures
    reasons = " ".join(outcome.verdict["reasons"])
    assert "target without half of the classes would know one alone, as there are 2" in reasons
    assert {c["control"] for c in outcome.facts["controls"]} >= {"untrained", "shuffled-labels"}
    assert outcome.reconstructions[0].values.shape[0] == 2
