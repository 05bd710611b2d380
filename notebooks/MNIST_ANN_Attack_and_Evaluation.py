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
# # MNIST, ordinary network: attack and evaluation
#
# A network with one hidden layer learns to tell handwritten digits. Then the digits are put away.
# Only the model remains: its weights and the names of its classes, which anyone has who receives
# it. The question is what these alone say about the digits.
#
# - **In:** the trained weights, and a class $c$.
# - **Out:** one image of 28 x 28 pixels for each class, grey in $[0, 1]$.
#
# The attack is that of Fredrikson, Jha and Ristenpart (CCS 2015), which the paper of BrainLeaks
# takes as the measure for its own attacks on spiking networks.

# %% tags=["parameters"]
PRESET = "mnist-ann"
SEED = 0
SETTINGS = ("judging=null",)  # changes to the preset: here, the paper's evaluators judge alone

# %%
from dataclasses import replace

import torch
from IPython.display import Image, Markdown

from brainleaks import Fredrikson, Target
from brainleaks.pipeline import run_study
from brainleaks.report.figures import curves, grid, matrices
from brainleaks.studies import load_study
from shown import as_pictures, metrics_table, outcome_rows, source

# %% [markdown]
# ## The target
#
# `run_study` walks the whole pipeline: it trains the target and the evaluator, attacks the target,
# and has the evaluator judge the result. Each stage is stored, so that running this again trains
# nothing.

# %%
study = load_study(PRESET, SETTINGS)
run = run_study(study, seed=SEED)
names = list(run.dataset.class_names)
networks = [run.target, *run.evaluators]

for network in networks:
    print(f"{network.name}: test accuracy {network.facts['test_accuracy']:.4f}")
Image(curves({network.name: network.facts["curve"] for network in networks}, steps="epoch"))

# %% [markdown]
# ## The attack
#
# Training moves the weights so that the images fit their labels. The attack holds the weights
# still and moves the image. With $p_c(x)$ the network's confidence (softmax) that $x$ is of class
# $c$, it starts from a black image, $x = 0$, and goes down the slope of the cost $1 - p_c$:
#
# $$x \leftarrow \mathrm{clamp}_{[0, 1]}\bigl(x - \eta \, \nabla_x (1 - p_c(x))\bigr)$$
#
# until the cost is small enough, or has not improved for a number of steps. All ten classes
# travel in one batch; those that have stopped are left out of it. This is the step as it runs:

# %%
Markdown(source(Fredrikson._step))

# %% [markdown]
# A `Target` is the attacker's view of the network: it gives gradients for inputs, counts the
# queries, and knows no data. Here is one class, stopped early at various numbers of steps.

# %%
target = Target(run.target.network, input_shape=run.dataset.input_shape, classes=len(names))
attack = study.attacks["fredrikson"]
DIGIT = 3
steps = [n for n in (1, 10, 100, 1000) if n < attack.iterations] + [attack.iterations]
path = [replace(attack, iterations=n)(target, torch.tensor([DIGIT])) for n in steps]
Image(grid({f"class {DIGIT}": as_pictures(torch.cat(path))}, [f"step {n:,}" for n in steps]))

# %% [markdown]
# ## The reconstructions
#
# Above, the first training image of each class; below, what the attack makes, having seen none of
# them. Each picture is stretched to its own range of grey.

# %%
Image(grid(outcome_rows(run), names))

# %% [markdown]
# The cost, averaged over the classes. It measures what the network believes, not what the image
# looks like: a few strong strokes in the right places can be enough for it.

# %%
Image(curves({item.name: item.facts["curve"] for item in run.reconstructions}, steps="step"))

# %% [markdown]
# ## The evaluation
#
# A second network, of another architecture, judges whether each reconstruction is recognised. In
# the matrix $Q$ below, row $i$ is the reconstruction made for class $i$ and column $c$ the
# evaluator's confidence in class $c$. From it come four figures: the **attack accuracy**, the
# share of rows whose largest entry is on the diagonal; the **top-3 accuracy**, where it is among
# the three largest; the **confidence**, the diagonal's mean; and the **DAA** (distinct attack
# accuracy), the share of columns whose largest entry is on the diagonal.

# %%
found = {
    f"{item.name}, judged by {evaluator}": judgement.matrix.cpu().numpy()
    for item in run.reconstructions
    for evaluator, judgement in item.judgements.items()
}
Image(matrices(found, names))

# %%
Markdown(metrics_table(run))

# %% [markdown]
# The evaluator learned from the same images as the target. Its agreement is no proof of a
# likeness: that has to be seen in the pictures.
