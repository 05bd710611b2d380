# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Audit an snnTorch network in Python
#
# Train a spiking network, audit it, change how fast its neurons forget, and audit it again. The
# data are scikit-learn's digits, 8 x 8 pixels, so that each step takes seconds.

# %%
import pandas
import torch
from sklearn.datasets import load_digits
from snntorch import Leaky, utils
from torch import nn

from brainleaks.audit import audit

digits = load_digits()
x, y = (digits.images / 16).astype("float32"), digits.target  # (N, 8, 8) in [0, 1]
train, test = (x[:1200], y[:1200]), (x[1200:], y[1200:])
STEPS = 15

# %% [markdown]
# ## Train
#
# Each pixel is a spike with a probability of its brightness, anew in each of the time steps. `beta`
# is the share of its membrane potential that a neuron keeps from one step to the next.


# %%
def trained(beta):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 100), Leaky(beta, init_hidden=True),
        nn.Linear(100, 10), Leaky(beta, init_hidden=True, output=True),
    )  # fmt: skip
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    inputs, labels = map(torch.from_numpy, train)
    for batch in (b for _ in range(8) for b in torch.randperm(len(labels)).split(50)):
        utils.reset(network)
        membranes = [network(torch.bernoulli(inputs[batch]))[1] for _ in range(STEPS)]
        optimiser.zero_grad()
        sum(nn.functional.cross_entropy(m, labels[batch]) for m in membranes).backward()
        optimiser.step()
    return network


# %% [markdown]
# ## Audit
#
# `audit` attacks the network, judges what comes of it, and compares it with controls. Here it runs
# one attack, which is enough for levels 1, 2 and 4; without `attacks`, it runs all that suit and
# tests membership as well. A result shows itself.

# %%
fast = audit(trained(beta=0.5), (train, test), steps=STEPS, attacks="smooth-inversion")
fast

# %% [markdown]
# ## Change beta, and audit again

# %%
slow = audit(trained(beta=0.95), (train, test), steps=STEPS, attacks="smooth-inversion")
named = {"beta = 0.5": fast, "beta = 0.95": slow}
levels = pandas.concat({name: result.to_frame("levels") for name, result in named.items()})
levels[["level", "name", "status", "value", "low", "high"]].round(2)

# %% [markdown]
# The intervals say how much of a difference chance can make. Whether two networks differ is tested
# class by class: save both with `save`, and run `brainleaks compare` on the folders.

# %%
fast.plot()

# %%
slow.plot()
