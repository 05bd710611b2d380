from pathlib import Path

import torch

from brainleaks.data import DATASETS


def test_digits():
    dataset = DATASETS["digits"].load(Path())
    assert dataset.input_shape == (1, 8, 8)
    assert len(dataset.train.labels) == 1438
    assert len(dataset.test.labels) == 359
    assert dataset.train.inputs.min() == 0
    assert dataset.train.inputs.max() == 1
    assert torch.equal(dataset.test.labels.unique(), torch.arange(10))
    assert dataset.fingerprint == DATASETS["digits"].load(Path()).fingerprint
