import pytest
import torch

from brainleaks import InputError
from brainleaks.evaluation import metrics


def test_hand_worked():
    matrix = torch.tensor(
        [
            [0.6, 0.2, 0.1, 0.1],  # right
            [0.5, 0.3, 0.1, 0.1],  # second
            [0.4, 0.3, 0.1, 0.2],  # last of four: not in the top three
            [0.1, 0.1, 0.1, 0.7],  # right
        ]
    )
    found = metrics(matrix)
    assert found["attack_accuracy"] == 0.5
    assert found["top3_accuracy"] == 0.75
    assert found["confidence"] == pytest.approx((0.6 + 0.3 + 0.1 + 0.7) / 4)
    # columns 0, 1 (a tie that the first wins) and 3 belong to their own row, column 2 to row 0
    assert found["daa"] == 0.75


def test_perfect_and_hopeless():
    assert set(metrics(torch.eye(5)).values()) == {1.0}
    assert metrics(torch.eye(5).roll(1, 0))["attack_accuracy"] == 0


def test_two_classes_are_always_in_the_top_three():
    assert metrics(torch.eye(2).flip(0))["top3_accuracy"] == 1


def test_refuses_what_is_not_a_number():
    with pytest.raises(InputError, match="NaN or infinite"):
        metrics(torch.full((4, 4), torch.nan))


def test_refuses_what_is_not_square():
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        metrics(torch.zeros(2, 3))
