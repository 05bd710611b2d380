import time

import pytest
import yaml
from protocol import AT_LEAST, PRESETS, TWINS
from pydantic import ValidationError

from brainleaks import BrainLeaksV2, InputError
from brainleaks.campaigns.collection import collection
from brainleaks.defences import DEFENCES
from brainleaks.studies import load_study, preset_names
from brainleaks.studies.config import Printed
from brainleaks.studies.reading import parse_study
from brainleaks.training import Recipe


def test_presets_are_valid_and_describe_themselves():
    assert {"demo", "faces-ann", "faces-snn"} <= set(preset_names())
    for name in preset_names():
        study = load_study(name)
        assert study.name == name
        assert study.description


def test_round_trip():
    """A study as resolved, written as YAML and read again, is the same study."""
    study = load_study("faces-snn")
    text = yaml.safe_dump(study.model_dump(mode="json"))
    assert parse_study("again", yaml.safe_load(text)) == study


def at(study, path):
    value = study.model_dump(mode="json")
    for key in path.split("."):
        value = value[key]
    return value


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_agree_with_the_protocol(preset):
    study = load_study(preset)
    for path, expected in PRESETS[preset].items():
        assert at(study, path) == expected, path
    for model, epochs in AT_LEAST.get(preset, {}).items():
        assert at(study, f"{model}.training.epochs") >= epochs


@pytest.mark.parametrize("twin", TWINS)
def test_twins_are_their_models(twin):
    study = load_study(twin)
    spiking, ordinary = map(load_study, TWINS[twin])
    assert (study.dataset, study.frames) == (spiking.dataset, spiking.frames)
    assert study.attacks == ordinary.attacks
    assert study.printed == Printed()
    batch = study.target.training.batch_size  # nmnist-1k-ann's is its own
    for name in ("target", "evaluators"):
        expected = getattr(ordinary, name).__repr__()
        expected = expected.replace("batch_size=1000", f"batch_size={batch}")
        assert getattr(study, name).__repr__() == expected


def test_every_preset_of_the_paper_is_in_its_table():
    """And every one is a cell of the paper's study."""
    cells = {cell.preset: cell for cell in collection("paper").cells}
    assert cells.keys() == {*PRESETS, *TWINS}
    noted = {preset: cell.note for preset, cell in cells.items() if cell.note}
    assert noted == {"dvsgesture-clips": "an exercise, not a result"}


def test_the_strongest_attack_stands_beside_the_papers_own_study():
    names = [name for name in preset_names() if name.endswith("-best")]
    assert {cell.preset for cell in collection("strongest").cells} == set(names)
    for name in names:
        paper, best = load_study(name.removesuffix("-best")), load_study(name)
        alike = ("dataset", "encoding", "frames", "target", "evaluators", "access", "judging")
        assert all(getattr(paper, field) == getattr(best, field) for field in alike)
        added = {key: value for key, value in best.attacks.items() if key not in paper.attacks}
        assert best.attacks == paper.attacks | added
        assert len(added) == 1


def test_the_sweep_has_every_defence_and_names_each_study_once():
    cells = collection("defences").cells
    studies = [load_study(cell.preset, cell.settings) for cell in cells]
    assert len({study.name for study in studies}) == len(studies)
    assert {cell.preset for cell in cells} == {n for n in preset_names() if n.endswith("-defences")}
    studies += [load_study(cell.preset, cell.settings) for cell in collection("federated").cells]
    assert {defence.name for study in studies for defence in study.defences} == set(DEFENCES)


def test_defaults_of_the_attacks_are_mnists():
    assert load_study("faces-snn").attacks["brainleaks-v2"] == BrainLeaksV2()


def test_settings():
    study = load_study("demo", ("target.training.epochs=3", "attacks.brainleaks-v1.iterations=2"))
    assert study.target.training.epochs == 3
    assert study.attacks["brainleaks-v1"].iterations == 2
    assert load_study("demo", ("target.training.learning_rate=1e-3",)).target.training == Recipe(
        learning_rate=0.001, batch_size=100, epochs=10, gradient_clip=1.0
    )


TRAINING = {"learning_rate": 1e-3, "batch_size": 50, "epochs": 1}
BASE = load_study("demo").model_dump(mode="json")


def changed(path, value):
    content = yaml.safe_load(yaml.safe_dump(BASE))
    node = content
    *parents, last = path.split(".")
    for key in parents:
        node = node[key]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return content


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("colour", "blue", "colour: unknown field"),
        ("target.colour", "blue", "target.colour: unknown field"),
        ("target.network.colour", "blue", "target.network.colour: unknown field"),
        ("attacks.brainleaks-v1.colour", 1, "attacks.brainleaks-v1.colour: unknown field"),
        ("target.training.epochs", "ten", "target.training.epochs: found 'ten', "),
        (
            "target.training.epochs",
            -1,
            "target.training.epochs: found -1, .*greater than or equal to 0",
        ),
        ("target.training.epochs", True, "target.training.epochs: found True, "),
        ("target.training.epochs", "7", "target.training.epochs: found '7', "),
        ("target.training.learning_rate", "1e-3", "learning_rate: found '1e-3', .*valid number"),
        ("target.training.learning_rate", float("inf"), "learning_rate: .*finite"),
        ("target.training.learning_rate", None, "target.training.learning_rate: missing"),
        ("target.network.beta", 1.5, "target.network.beta: found 1.5, "),
        ("target.network.surrogate.slope", -1, "target.network.surrogate.slope: found -1, "),
        ("dataset", "cifar", "dataset: found 'cifar', .*'digits'"),
        ("name", "../up", "name: found '../up'"),
        ("attacks", {}, "attacks: .*at least 1"),
        ("encoding", None, "encoding: missing; a spiking target needs one"),
        ("attacks.brainleaks-v1.attack", "magic", "attacks.brainleaks-v1: .*magic"),
        (
            "evaluators.snn-conv.network",
            {"architecture": "conv"},
            "evaluators.snn-conv: must be spiking",
        ),
        ("evaluators.target", BASE["evaluators"]["snn-conv"], "reserved for the target"),
        ("attacks.f", {"attack": "fredrikson"}, "fredrikson does not support spiking networks"),
        (
            "attacks.p",
            {"attack": "within-prior", "search": {"attack": "gamin"}},
            "attacks.p: requires a prior",
        ),
        (
            "attacks.p",
            {"attack": "within-prior", "search": {"attack": "brainleaks-v1"}},
            "attacks.p.search: .*'brainleaks-v1'",
        ),
        ("prior", {"classes": []}, "prior.classes: .*at least 1"),
        ("prior", {"classes": [0], "training": TRAINING}, "prior: no attack uses it"),
    ],
)
def test_bad_fields_are_named(path, value, message):
    with pytest.raises(InputError, match=message) as caught:
        parse_study("s.yaml", changed(path, value))
    assert str(caught.value).startswith("s.yaml: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "not valid YAML"),
        ("- a\n- b", "expected a mapping"),
        ("", "expected a mapping"),
        ("name: 2024-13-45", "not valid YAML"),
        ("name: 2024-12-05", "not text, numbers or lists"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
    ],
)
def test_bad_files(tmp_path, text, message):
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_study(str(path))


def test_binary_file(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a text file"):
        load_study(str(path))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("faces-sn", "Did you mean faces-snn"),
        ("zzzz", r"Presets: .*demo, .*faces-ann, .*faces-snn"),
        ("nowhere/s.yaml", "cannot read nowhere/s.yaml: No such file"),
    ],
)
def test_unknown_study(name, message):
    with pytest.raises(InputError, match=message):
        load_study(name)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("target.training.epochs", "expected path.to.field=value"),
        ("=3", "expected path.to.field=value"),
        ("name.x=3", "name has no fields"),
        ("target.training.epoch=3", "target.training.epoch: unknown field"),
        ("target.training.epochs=[", "is not valid YAML: line 1"),
    ],
)
def test_bad_settings(setting, message):
    with pytest.raises(InputError, match=message):
        load_study("demo", (setting,))


def test_a_prior_is_of_images():
    events = load_study("nmnist-1k-snn").model_dump(mode="json")
    events["prior"] = {"classes": [0], "training": TRAINING}
    search = {"attack": "gamin"}
    events["attacks"] = {"p": {"attack": "within-prior", "search": search}}
    with pytest.raises(InputError, match="prior: supports images only"):
        parse_study("s.yaml", events)


def test_studies_without_a_prior_are_what_they_were():
    assert "prior" not in BASE
    assert "prior" in load_study("mnist-snn-prior").model_dump(mode="json")


def test_studies_are_frozen():
    with pytest.raises(ValidationError):
        load_study("demo").name = "other"


def nested_aliases(levels):
    """A few hundred bytes that stand for nine to the power of ``levels`` values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels + 1)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (nested_aliases(12), "values; the limit is 20,000"),
        ("[" * 500_000, "21 levels of nesting; the limit is 20"),
        ("- 1\n" * 200_000, "20,001 values; the limit is 20,000"),
        ("a: " + "1" * 100_000, "not valid YAML"),
        ("a: !!python/object/apply:os.abort []", "not valid YAML"),
        ("x" * (1 << 20 | 1), "1,048,577 bytes; the limit is 1,048,576"),
        (f"name: {'9' * 4_000}", "name: found"),
    ],
)
def test_a_study_that_would_fill_the_memory_is_refused_at_once(tmp_path, text, said):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    started = time.perf_counter()
    with pytest.raises(InputError, match=said) as caught:
        load_study(str(path))
    assert time.perf_counter() - started < 5
    assert len(str(caught.value)) < 700


def test_anchors_within_the_limits_are_read(tmp_path):
    path = tmp_path / "study.yaml"
    text = load_study("demo").model_dump_json()
    path.write_text(text.replace('"training":{', '"training":&recipe {', 1))
    assert load_study(str(path)) == load_study("demo")
