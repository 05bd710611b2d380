"""User-level membership as evidence: from data that names its users to the report."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from brainleaks.attacks.membership.knowledge import Candidates, References
from brainleaks.attacks.membership.loss_threshold import LossThreshold
from brainleaks.attacks.membership.user_inference import UserInference
from brainleaks.data import Samples, digits
from brainleaks.data.encoding import as_images
from brainleaks.data.parts import joined, select, with_shuffled_labels
from brainleaks.errors import InputError
from brainleaks.evaluation.users import measured
from brainleaks.files.atomic import read_tensors
from brainleaks.networks import MLP
from brainleaks.pipeline import Cache, run_study
from brainleaks.pipeline.evidence.users import draw
from brainleaks.report import write_report
from brainleaks.runs import folder
from brainleaks.runs.schema import Results
from brainleaks.studies.reading import parse_study
from brainleaks.target import Target

USERS = 6


def study(attacks, **more):
    return parse_study(
        "test",
        {
            "name": "users",
            "dataset": "digits",
            "access": "scores",
            "target": {
                "network": {"architecture": "mlp", "hidden": 30},
                "training": {"learning_rate": 5e-3, "batch_size": 30, "epochs": 6},
            },
            "attacks": {n: {"attack": "user-inference", **a} for n, a in attacks.items()},
            "membership": {"samples": 120, "shadows": 12},
            **more,
        },
    )


def written_by(whole, part, *, alike):
    """Digits of six people: each has turned the digits in a way of their own, or none has."""
    samples = getattr(whole, part)
    users = torch.arange(len(samples.labels)) % USERS
    inputs = torch.as_tensor(samples.inputs).clone()
    for user in range(0 if alike else USERS):
        order = torch.randperm(64, generator=torch.Generator().manual_seed(user))
        rows = inputs[users == user].flatten(1)[:, order]
        inputs[users == user] = rows.view(-1, 1, 8, 8)
    return Samples(inputs, samples.labels, users)


def data(*, alike):
    whole = digits.load(Path())
    parts = {part: written_by(whole, part, alike=alike) for part in ("train", "test")}
    return replace(whole, **parts)


ATTACKS = {
    "loss": {"by": {"attack": "loss-threshold"}},
    "lira": {"by": {"attack": "lira", "online": False}},
    "trained": {"queries": "trained"},
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    torch.set_num_threads(1)
    where, results = tmp_path_factory.mktemp("users"), {}
    for name, alike in (("own", False), ("alike", True)):
        outcome = run_study(study(ATTACKS), cache=Cache(where / "cache"), dataset=data(alike=alike))
        results[name] = folder.write(outcome, where / name, write_report)
    return where, results


def test_users_with_ways_of_their_own_are_recognised_by_samples_that_nobody_learned(found):
    where, results = found
    evidence = results["own"]["evidence"]["user-membership"]
    assert (evidence["users"], evidence["networks"]) == (6, 12)
    assert evidence["accuracy"]["members"] > evidence["accuracy"]["others"] + 0.2
    assert all(one["auc"]["value"] > 0.95 for one in evidence["attacks"].values())
    (said,) = results["own"]["verdict"]["claims"]
    assert (said["level"], said["shown"]) == (3, True)
    page = (where / "own" / "report.html").read_text()
    assert "Whose data was in the training set" in page
    assert {one["samples"] for one in evidence["attacks"].values()} == {120}


def test_users_who_are_alike_are_not(found):
    _, results = found
    evidence = results["alike"]["evidence"]["user-membership"]
    assert abs(evidence["accuracy"]["members"] - evidence["accuracy"]["others"]) < 0.05
    assert evidence["attacks"]["loss"]["auc"]["low"] < 0.5
    assert evidence["attacks"]["lira"]["p"] > 0.05 / 3


def test_the_files_hold_what_was_measured(found):
    where, results = found
    tensors = read_tensors(where / "own" / "user-membership.safetensors")
    assert tensors["member"].shape == (12, USERS)
    again = measured(tensors["loss"].numpy(), tensors["member"].numpy())
    stored = results["own"]["evidence"]["user-membership"]["attacks"]["loss"]
    assert stored["auc"]["value"] == pytest.approx(again["auc"]["value"])
    content = json.loads((where / "own" / "results.json").read_text())
    content["evidence"]["user-membership"]["attacks"]["loss"]["p"] = 2
    with pytest.raises(ValueError, match=r"evidence|less than or equal to 1"):
        Results.model_validate(content)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s._replace(users=None), "does not say which user"),
        (lambda s: s._replace(users=s.users % 3), "at least 4 users"),
        (lambda s: s._replace(users=s.labels), "classes of a single user"),
    ],
)
def test_data_that_cannot_be_tested_is_refused(change, said, tmp_path):
    whole = data(alike=True)
    changed = replace(whole, train=change(whole.train), test=change(whole.test))
    quick = {"network": {"architecture": "mlp", "hidden": 5}}
    quick["training"] = {"learning_rate": 1e-3, "batch_size": 100, "epochs": 1}
    with pytest.raises(InputError, match=said):
        run_study(study({"loss": {}}, target=quick), cache=Cache(tmp_path), dataset=changed)


def test_the_score_of_a_user_is_the_mean_over_their_samples():
    torch.manual_seed(0)
    network = MLP((1, 8, 8), 10, hidden=9).eval()
    target = Target(network, input_shape=(1, 8, 8), classes=10, access="scores")
    samples = Samples(torch.rand(5, 1, 8, 8), torch.arange(5), torch.tensor([1, 0, 1, 1, 2]))
    nothing = References(torch.zeros(0, 5, 10), torch.zeros(0, 5) > 0, torch.zeros(5) > 0)
    found = UserInference(LossThreshold())(target, Candidates(samples, as_images), nothing)
    with torch.no_grad():
        each = network(samples.inputs).double().log_softmax(1)[torch.arange(5), samples.labels]
    expected = [each[1], (each[0] + each[2] + each[3]) / 3, each[4]]
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-4, atol=1e-6)


def test_online_lira_may_not_ask_about_samples_that_nobody_learned():
    """Its reference networks would have learned from the very samples of the training set."""
    with pytest.raises(InputError, match="set online to false"):
        study({"lira": {"by": {"attack": "lira"}}})
    study({"lira": {"by": {"attack": "lira"}, "queries": "trained"}})


def test_queries_are_drawn_from_every_user():
    users = torch.tensor([0, 1, 0, 0, 2, 1, 0, 2, 2])
    drawn = draw(users, 2, torch.Generator().manual_seed(0))
    assert users[drawn].bincount().tolist() == [2, 2, 2]
    assert (drawn.diff() > 0).all()


def test_parts_of_samples_keep_their_users():
    whole = data(alike=True)
    some = select(whole.train, torch.tensor([3, 1]))
    assert some.users.tolist() == [3, 1]
    assert joined(some, some).users.tolist() == [3, 1, 3, 1]
    assert joined(some, some._replace(users=None)).users is None
    assert whole.train.first(4).users.tolist() == [0, 1, 2, 3]
    shuffled = with_shuffled_labels(whole, torch.Generator().manual_seed(0))
    assert torch.equal(shuffled.train.users, whole.train.users)
