import ast

import pytest
import torch

from brainleaks import ArcTan, InputError
from brainleaks.data import Samples
from brainleaks.data.encoding import RateCode, as_images
from brainleaks.networks import ConvNet, SpikingConvNet
from brainleaks.study.store import Artefact, Store, _without_prose, digest
from brainleaks.training import Recipe, fit


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


@pytest.mark.parametrize("network", [ConvNet, SpikingConvNet])
def test_a_convolutional_training_goes_on_to_the_same_weights(tmp_path, network):
    """Its weights lie in another memory order than they are stored in."""
    neuron = {"beta": 0.7, "surrogate": ArcTan()} if network is SpikingConvNet else {}
    samples = Samples(torch.rand(40, 1, 16, 16), torch.arange(40) % 3)
    encode = RateCode(4) if network.spiking else as_images

    def make(recorder, stop_after=None):
        torch.manual_seed(0)
        trained = network((1, 16, 16), 3, **neuron)
        advance = recorder.advance

        def advance_and_stop(epoch, state, **headline):
            recorder._saved_at = float("-inf")
            advance(epoch, state, **headline)
            if epoch + 1 == stop_after:
                raise KeyboardInterrupt

        recorder.advance = advance_and_stop
        recipe = Recipe(learning_rate=0.01, batch_size=10, epochs=4)
        generator = torch.Generator().manual_seed(1)
        fit(trained, samples, recipe, encode=encode, generator=generator, monitor=recorder)
        return Artefact(dict(trained.state_dict()))

    whole = Store(tmp_path / "a").get_or_make("stage", {}, make)
    with pytest.raises(KeyboardInterrupt):
        Store(tmp_path / "b").get_or_make("stage", {}, lambda recorder: make(recorder, 2))
    resumed = Store(tmp_path / "b").get_or_make("stage", {}, make)
    assert all(torch.equal(whole.tensors[k], resumed.tensors[k]) for k in whole.tensors)


def test_damaged_checkpoint_is_named(tmp_path):
    path = tmp_path / f"stage-{digest({})}.checkpoint"
    path.write_bytes(b"half a checkpoint")
    with pytest.raises(InputError, match=path.name):
        Store(tmp_path).get_or_make("stage", {}, lambda r: r.resume({"x": torch.zeros(())}))


def test_prose_does_not_count():
    one = 'def f():\n    """Say."""\n    return 1  # why\n'
    assert _without_prose(ast.parse(one)) == _without_prose(ast.parse("def f():\n    return 1"))
    assert _without_prose(ast.parse(one)) != _without_prose(ast.parse("def f():\n    return 2"))


def test_a_log_gets_a_line_of_progress_at_times(tmp_path, monkeypatch, capsys):
    """Of five iterations of 20 seconds each, those that end half a minute after the last line."""
    clock = iter(range(0, 10_000, 20))
    now = [0.0]
    monkeypatch.setattr("brainleaks.study.store.time.perf_counter", lambda: now[0])

    def make(recorder):
        for i in recorder.remaining(5):
            now[0] = next(clock) + 20
            recorder.advance(i, {"x": torch.zeros(())}, loss=0.5)
        return Artefact({})

    Store(tmp_path).get_or_make("train:target", {}, make)
    assert capsys.readouterr().err.splitlines() == [
        "train:target: 2/5 [00:40<01:00, 20.00s/it, loss=0.5]",
        "train:target: 4/5 [01:20<00:20, 20.00s/it, loss=0.5]",
    ]
