"""A study is data: functions that it names are not imported unless the user says so."""

import pytest
import yaml

from brainleaks import InputError
from brainleaks.studies import load_study

CONTENT = {
    "name": "theirs",
    "dataset": {"path": "data.npz"},
    "target": {
        "factory": "os:abort",
        "training": {"learning_rate": 0.1, "batch_size": 10, "epochs": 1},
    },
    "evaluators": load_study("mnist-ann").model_dump(mode="json")["evaluators"],
    "attacks": {"fredrikson": {"attack": "fredrikson"}},
}


def written(tmp_path, **changes):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(CONTENT | changes))
    return str(path)


def test_code_that_a_study_names_needs_trust(tmp_path):
    path = written(tmp_path)
    with pytest.raises(InputError, match=r"study.yaml: target.factory names os:abort.*trust=True"):
        load_study(path)
    assert load_study(path, trust=True).target.factory == "os:abort"


def test_data_that_is_code_needs_trust(tmp_path):
    target = CONTENT["target"] | {"factory": None, "model": "net.pt"}
    path = written(tmp_path, dataset={"path": "os:getcwd"}, target=target)
    with pytest.raises(InputError, match=r"dataset.path names os:getcwd"):
        load_study(path)
    assert load_study(path, trust=True).dataset.path == "os:getcwd"


def test_what_the_user_names_is_the_users(tmp_path):
    path = written(tmp_path)
    assert load_study(path, ("target.factory=mine:build",)).target.factory == "mine:build"
    with pytest.raises(InputError, match=r"target.factory names os:abort"):
        load_study(path, ("target.training.epochs=2",))


def test_data_in_files_needs_no_trust(tmp_path):
    target = CONTENT["target"] | {"factory": None, "model": "net.pt"}
    assert load_study(written(tmp_path, target=target)).target.model == "net.pt"
