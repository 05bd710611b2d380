"""Parts of a data set: who learns from what."""

import torch

from brainleaks.data import digits, digits_events
from brainleaks.data.dataset import Dataset, Samples
from brainleaks.data.events import Framing, framed
from brainleaks.data.parts import images, of_classes, parts, select, with_shuffled_labels


def numbered(per_class: int, classes: int = 3) -> Dataset:
    """Samples that know their number: the test part's begin at 1,000."""
    labels = torch.arange(classes).repeat(per_class)
    inputs = torch.arange(len(labels)).float().view(-1, 1, 1, 1)
    names = tuple("abc"[:classes])
    return Dataset("d", Samples(inputs, labels), Samples(inputs + 1000, labels), names)


def test_few_held_out_samples_are_all_held_out(tmp_path):
    found = parts(numbered(99))
    assert not found.disjoint
    assert found.learn is found.members
    assert len(found.held_out.labels) == 3 * 99


def test_judges_learn_from_half_of_many_held_out_samples():
    found = parts(numbered(100))
    assert found.disjoint
    sides = [set(s.inputs.flatten().tolist()) for s in (found.learn, found.members, found.held_out)]
    assert len(sides[0] | sides[1] | sides[2]) == sum(map(len, sides))
    assert torch.bincount(found.learn.labels).tolist() == [50, 50, 50]
    assert torch.bincount(found.held_out.labels).tolist() == [50, 50, 50]


def test_of_classes_numbers_them_anew():
    some = of_classes(numbered(2), [2, 0])
    assert some.class_names == ("c", "a")
    assert some.train.inputs.flatten().tolist() == [0, 2, 3, 5]
    assert some.train.labels.tolist() == [1, 0, 1, 0]


def test_shuffled_labels_are_the_same_labels():
    dataset = numbered(50)
    shuffled = with_shuffled_labels(dataset, torch.Generator().manual_seed(0))
    assert torch.equal(shuffled.train.inputs, dataset.train.inputs)
    assert shuffled.train.labels.bincount().tolist() == [50, 50, 50]
    assert 0.15 < (shuffled.train.labels == dataset.train.labels).double().mean() < 0.55
    assert shuffled.test is dataset.test


def test_selected_recordings_are_the_recordings(tmp_path):
    some = [r for r, _ in zip(digits_events.recordings(tmp_path), range(12), strict=False)]
    some = [r._replace(part="train" if i < 8 else "test") for i, r in enumerate(some)]
    framing = Framing(frame_us=3000)
    names = digits_events.CLASS_NAMES
    dataset = framed("d", some, framing, sensor=digits_events.SENSOR, class_names=names)
    chosen = select(dataset.train, torch.tensor([5, 2]))
    both = torch.tensor([0, 1])
    assert torch.equal(chosen.inputs[both], dataset.train.inputs[torch.tensor([5, 2])])
    assert torch.equal(chosen.labels, dataset.train.labels[[5, 2]])
    assert torch.allclose(images(chosen)[1], images(dataset.train)[2])
    nothing = select(dataset.train, torch.zeros(8, dtype=torch.bool))
    assert len(nothing.inputs) == 0


def test_images_are_their_own(tmp_path):
    samples = digits.load(tmp_path).test
    assert images(samples) is samples.inputs
