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
# # MNIST, spiking network: the attack
#
# A spiking network computes with zeros and ones that unfold in time, and its neurons' threshold
# has no useful derivative. That was said to protect it: where no gradient flows, no one can
# follow it back to the data. BrainLeaks shows otherwise. This notebook trains a spiking
# classifier of digits and reconstructs what it learned from, by both attacks of the paper;
# [MNIST_SNN_Evaluation](MNIST_SNN_Evaluation.ipynb) judges the result.
#
# - **In:** the trained weights, and a class $c$.
# - **Out:** for each class $T = 25$ frames of 28 x 28 pixels: spikes of 0 and 1 from
#   BrainLeaks-v1, probabilities of spikes in $[0, 1]$ from BrainLeaks-v2. Their mean over time is
#   the picture.

# %% tags=["parameters"]
PRESET = "mnist-snn"
SEED = 0
SETTINGS = ("judging=null",)  # changes to the preset: here, the paper's evaluators judge alone

# %%
from dataclasses import replace

import torch
from IPython.display import Image, Markdown

from brainleaks import BrainLeaksV1, BrainLeaksV2, Target
from brainleaks.attacks.inversion import brainleaks_v1
from brainleaks.attacks.objectives import confidence
from brainleaks.pipeline import run_study
from brainleaks.pipeline.loading import one_a_class
from brainleaks.report.figures import curves, grid
from brainleaks.studies import load_study
from shown import as_pictures, outcome_rows, source

# %%
study = load_study(PRESET, SETTINGS)
run = run_study(study, seed=SEED)
names = list(run.dataset.class_names)

# %% [markdown]
# ## What the network sees
#
# An image enters as spikes: in each of the $T$ steps every pixel fires with its grey value as the
# probability (a Bernoulli rate code). Three such steps, and the mean of all:

# %%
images = one_a_class(run.dataset)
spikes = study.encoding(images, torch.Generator().manual_seed(SEED))
shown = {"image": images, "step 1": spikes[0], "step 2": spikes[1], "step 3": spikes[2]}
shown["mean"] = spikes
Image(grid({label: as_pictures(values) for label, values in shown.items()}, names))

# %% [markdown]
# ## The target
#
# Its neurons leak and fire: at each step, the membrane potential $U$ decays by the factor $\beta$
# and adds the input current $I$; each spike $S$ subtracts the threshold $\theta = 1$,
#
# $$U[t] = \beta \, U[t-1] + I[t] - \theta \, S[t-1], \qquad S[t] = 1 \text{ if } U[t] > \theta
# \text{ else } 0.$$
#
# Training needs a slope where $S$ has none, and borrows one: a *surrogate*, here
# $\partial S / \partial U \approx (k \, |U - \theta| + 1)^{-2}$. The attacker borrows the same.

# %%
print(f"test accuracy {run.target.facts['test_accuracy']:.4f}")
Image(curves({run.target.name: run.target.facts["curve"]}, steps="epoch"))

# %% [markdown]
# ## What the attacks maximise
#
# The confidence in class $c$ is the softmax of the output membrane, averaged over time:
# $p_c = \frac{1}{T} \sum_t \mathrm{softmax}(U[t])_c$.

# %%
Markdown(source(confidence))

# %% [markdown]
# ## BrainLeaks-v1: the gradient, made spikes
#
# A step along a gradient leads from zeros and ones to numbers that are no spikes. BrainLeaks-v1
# takes only two things from the gradient $g = \nabla_x p_c$: its sign says which way a spike
# should flip, and its size, scaled to $a = (|g| - \min|g|) / (\max|g| - \min|g|)$, how probably
# it does:
#
# $$x \leftarrow 1 \text{ if } x + \mathrm{sign}(g) \, M > 0 \text{ else } 0, \qquad
# M \sim \mathrm{Bernoulli}(a).$$
#
# It starts from silence, $x = 0$.

# %%
Markdown(source(BrainLeaksV1.__call__, brainleaks_v1._flip_probability))

# %% [markdown]
# A `Target` is the attacker's view of the network: it gives gradients for inputs, counts the
# queries, and knows no data. One class, after each of the first iterations:

# %%
target = Target(run.target.network, input_shape=run.dataset.input_shape, classes=len(names))
attack = study.attacks["brainleaks-v1"]
DIGIT = 3


def stopped_after(iterations):
    generator = torch.Generator().manual_seed(SEED)
    return replace(attack, iterations=iterations)(
        target, torch.tensor([DIGIT]), generator=generator
    )


numbers = range(1, min(attack.iterations, 10) + 1)
path = torch.cat([stopped_after(n) for n in numbers], dim=1)
Image(grid({f"class {DIGIT}": as_pictures(path)}, [str(n) for n in numbers]))

# %% [markdown]
# ## BrainLeaks-v2: probabilities of spikes
#
# Here the unknown is not a spike train but the probability $P$ of each spike, and it may move
# smoothly. Each iteration draws a population $x_1 \dots x_n \sim \mathrm{Bernoulli}(P)$, asks for
# the gradient of every member's cost, $1 - p_c(x_k)$ plus a small price on each spike, and weighs
# the gradients by the costs:
#
# $$g = \frac{\sum_k \mathrm{cost}_k \, \nabla \mathrm{cost}_k}{\sum_k \mathrm{cost}_k}, \qquad
# v \leftarrow 0.9 \, v + g, \qquad P \leftarrow P - \frac{\eta}{\sqrt{s} + \epsilon} \, v,$$
#
# where $s$ gathers $g^2$. What is negative becomes 0, and a $P$ that exceeds 1 is scaled down.

# %%
Markdown(source(BrainLeaksV2._gradient, BrainLeaksV2._step))

# %% [markdown]
# ## The reconstructions
#
# How both attacks fared, averaged over the classes: v1 reports the confidence, v2 the
# population's cost.

# %%
Image(curves({item.name: item.facts["curve"] for item in run.reconstructions}, steps="iteration"))

# %% [markdown]
# On top, the first training image of each class; below, the rates of spikes that each attack
# makes, having seen none of them.

# %%
Image(grid(outcome_rows(run), names))
