"""Weights of whole numbers: with one scale, one a channel, a zero point, or none."""

import pytest
import safetensors.torch
import torch
from torch import nn

from brainleaks import InputError
from brainleaks.files.tensors import read_weights
from brainleaks.networks.weights import load_weights

SHAPE = (4, 6)


def network():
    return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))


def quantised(bits=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    most = 2 ** (bits - 1) - 1
    return torch.randint(-most, most + 1, SHAPE, dtype=torch.int8, generator=generator)


def loaded(tmp_path, changes, save=safetensors.torch.save_file):
    made, path = network(), tmp_path / "weights"
    state = {name: tensor.clone() for name, tensor in made.state_dict().items()} | changes
    save(state, path)
    said = load_weights(made, path, read_weights(path).tensors)
    return made[0].weight.detach(), said


@pytest.mark.parametrize("name", ["0.weight_scale", "0.weight.scale", "0.scale"])
@pytest.mark.parametrize("per", ["tensor", "channel"])
def test_times_its_scale(tmp_path, name, per):
    whole, scale = quantised(), torch.tensor(0.02) if per == "tensor" else torch.rand(4)
    found, said = loaded(tmp_path, {"0.weight": whole, name: scale})
    expected = torch.stack([row * s for row, s in zip(whole, scale.expand(4), strict=True)])
    assert torch.equal(found, expected)
    assert "0.weight" in said[0]
    assert "times their scales" in said[0]


def test_less_its_zero_point(tmp_path):
    whole = quantised().to(torch.int16).add(128).to(torch.uint8)
    entries = {"0.weight_scale": torch.tensor(0.1), "0.weight_zero_point": torch.tensor(128)}
    found, _ = loaded(tmp_path, {"0.weight": whole} | entries)
    torch.testing.assert_close(found, (whole.float() - 128) * 0.1)


@pytest.mark.parametrize(("bits", "values"), [(2, 3), (4, 15)])
def test_without_a_scale_as_they_are(tmp_path, bits, values):
    whole = quantised(bits)
    found, said = loaded(tmp_path, {"0.weight": whole})
    assert torch.equal(found, whole.float())
    assert len(whole.unique()) <= values
    assert said == [
        f"0.weight ({len(whole.unique())} different values at most): whole numbers, taken as they "
        "are."
    ]


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_torchs_own(tmp_path):
    tensor = torch.quantize_per_tensor(torch.randn(SHAPE), 0.05, 3, torch.qint8)
    found, said = loaded(tmp_path, {"0.weight": tensor}, save=torch.save)
    assert torch.equal(found, tensor.dequantize())
    assert "times their scales" in said[0]


def test_a_scale_that_does_not_fit(tmp_path):
    with pytest.raises(InputError, match=r"holds 3 numbers in 0\.scale; expected one, or one of"):
        loaded(tmp_path, {"0.weight": quantised(), "0.scale": torch.rand(3)})


def test_biases(tmp_path):
    bias = torch.tensor([3, -2, 0, 7], dtype=torch.int32)
    made, path = network(), tmp_path / "weights"
    state = {name: tensor.clone() for name, tensor in made.state_dict().items()}

    def loaded_bias(**more):
        entries = {"0.weight": quantised(), "0.bias": bias}
        safetensors.torch.save_file(
            state | entries | {name.replace("__", "."): v for name, v in more.items()}, path
        )
        load_weights(made, path, read_weights(path).tensors)
        return made[0].bias.detach()

    assert torch.equal(loaded_bias(), bias.float())
    scale = torch.tensor(0.5)
    assert torch.equal(
        loaded_bias(**{"0__weight_scale": scale, "0__bias_scale": scale.clone()}), bias / 2
    )
    with pytest.raises(InputError, match=r"0\.bias is a .*int32"):
        loaded_bias(**{"0__weight_scale": scale})  # in which unit the bias is, nobody says
