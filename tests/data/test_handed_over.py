"""Data that is handed over in Python: arrays, torch data sets, loaders."""

import numpy as np
import pytest
import torch
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    SequentialSampler,
    SubsetRandomSampler,
    TensorDataset,
)

from brainleaks import InputError
from brainleaks.data.handed_over import read_part, read_parts

X = np.arange(6 * 4, dtype=np.float32).reshape(6, 2, 2) / 24
Y = np.array([0, 1, 0, 1, 0, 1])
SET = TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))


@pytest.mark.parametrize(
    "found",
    [
        (X, Y),
        [X, Y.tolist()],
        (torch.from_numpy(X), torch.from_numpy(Y)),
        SET,
        DataLoader(SET, batch_size=4, shuffle=True),
        DataLoader(SET, batch_size=5, drop_last=True),
        DataLoader(SET, sampler=SequentialSampler(SET)),
    ],
)
def test_each_form_holds_the_same_samples(found):
    train, test, names = read_parts("data", found)
    assert np.array_equal(train.inputs, X)
    assert np.array_equal(train.labels, Y)
    assert test is None
    assert names is None


def test_a_pair_is_to_train_and_to_test():
    train, test, _ = read_parts("data", ((X[:4], Y[:4]), DataLoader(SET)))
    assert len(train.labels) == 4
    assert np.array_equal(test.inputs, X)


def test_a_loader_of_some_samples_gives_those_in_order_and_draws_no_random_number():
    loader = DataLoader(SET, sampler=SubsetRandomSampler([4, 0, 3]))
    state = torch.random.get_rng_state()
    part, _ = read_part("data", loader)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.array_equal(part.inputs, X[[0, 3, 4]])
    assert part.labels.tolist() == [0, 1, 0]


def test_samples_are_joined_by_the_loaders_own_function():
    """Recordings of different lengths, padded as the model takes them."""

    def padded(samples):
        longest = max(len(x) for x, _ in samples)
        inputs = torch.stack(
            [torch.nn.functional.pad(x, (0, longest - len(x))) for x, _ in samples]
        )
        return inputs, torch.tensor([y for _, y in samples])

    recordings = [(torch.ones(length), length % 2) for length in (2, 5, 3)]
    part, _ = read_part("data", DataLoader(recordings, collate_fn=padded))
    assert part.inputs.sum(1).tolist() == [2, 5, 3]
    assert part.inputs.shape == (3, 5)


class Endless(IterableDataset):
    def __iter__(self):
        while True:
            yield X[0], 0


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (X, r"^data is an array without labels; expected arrays \(x, y\), a torch data set"),
        ((X, Y, X, Y), r"^data holds 4 objects; expected arrays"),
        (DataLoader(Endless()), "IterableDataset, which has no length"),
        ([], "^data holds 0 objects"),
        (TensorDataset(torch.zeros(0, 1), torch.zeros(0)), "^data is empty"),
        (3, r"^data is not a torch data set .*TypeError"),
        ({"x": X}, "^data is not a torch data set"),
    ],
)
def test_what_is_no_data_is_refused(found, said):
    with pytest.raises(InputError, match=said):
        read_parts("data", found)
