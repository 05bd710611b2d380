import pytest
import torch

from brainleaks import InputError
from brainleaks.study.store import Artefact, Store, _without_prose, digest


def test_made_once_per_key(tmp_path):
    made = []

    def make(recorder):
        made.append(1)
        return Artefact({"x": torch.arange(3)}, {"note": "kept"})

    store = Store(tmp_path)
    for key in ({"a": 1}, {"a": 1}, {"a": 2}):
        artefact = store.get_or_make("stage", key, make)
        assert artefact.tensors["x"].tolist() == [0, 1, 2]
        assert artefact.facts["note"] == "kept"
    assert len(made) == 2


def test_a_stage_that_was_cut_off_goes_on_from_its_checkpoint(tmp_path):
    def make(recorder, fail=True):
        state = recorder.resume({"total": torch.zeros(())})
        for i in recorder.remaining(4):
            if fail and i == 2:
                raise KeyboardInterrupt
            state = {"total": state["total"] + i}
            recorder._saved_at = float("-inf")
            recorder.advance(i, state, total=float(state["total"]))
        return Artefact(state)

    store = Store(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        store.get_or_make("stage", {}, make)
    assert [p.suffix for p in tmp_path.iterdir()] == [".checkpoint"]
    artefact = store.get_or_make("stage", {}, lambda recorder: make(recorder, fail=False))
    assert artefact.tensors["total"] == 6
    assert [point["total"] for point in artefact.facts["curve"]] == [0, 1, 3, 6]
    assert not list(tmp_path.glob("*.checkpoint"))


def test_damaged_checkpoint_is_named(tmp_path):
    path = tmp_path / f"stage-{digest({})}.checkpoint"
    path.write_bytes(b"half a checkpoint")
    with pytest.raises(InputError, match=path.name):
        Store(tmp_path).get_or_make("stage", {}, lambda r: r.resume({"x": torch.zeros(())}))


def test_prose_does_not_count():
    one = 'def f():\n    """Say."""\n    return 1  # why\n'
    assert _without_prose(one) == _without_prose("def f():\n    return 1")
    assert _without_prose(one) != _without_prose("def f():\n    return 2")
