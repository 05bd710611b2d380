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
# # N-MNIST, spiking network: attack and evaluation
#
# N-MNIST shows MNIST's digits to an event camera that moves a little. Such a camera has no
# frames: each pixel reports by itself when it grows brighter or darker, and the recording is a
# list of these events. Nothing has to be turned into spikes here, so that this is what spiking
# networks are made for.
#
# - **In:** the trained weights, and a class $c$.
# - **Out:** a recording for each class, $T = 100$ frames of 34 x 34 pixels: spikes of 0 and 1
#   from BrainLeaks-v1, probabilities of spikes in $[0, 1]$ from BrainLeaks-v2.
#
# The preset uses the first 1,000 training and 100 test recordings. `nmnist-snn` is the paper's
# study, on the whole data set: set `PRESET = "nmnist-snn"` if you have it, and the time.

# %% tags=["parameters"]
PRESET = "nmnist-1k-snn"
SEED = 0
SETTINGS = ("judging=null",)  # changes to the preset: here, the paper's evaluators judge alone

# %%
from IPython.display import Image, Markdown

from brainleaks import BrainLeaksV1, BrainLeaksV2
from brainleaks.attacks.objectives import negative_log_likelihood
from brainleaks.data.events import frames
from brainleaks.pipeline import run_study
from brainleaks.pipeline.loading import one_a_class
from brainleaks.report.animation import animate
from brainleaks.report.figures import curves, grid, matrices
from brainleaks.studies import load_study
from shown import (
    as_pictures,
    metrics_table,
    outcome_rows,
    source,
)

# %%
study = load_study(PRESET, SETTINGS)
run = run_study(study, seed=SEED)
names = list(run.dataset.class_names)
recordings = one_a_class(run.dataset)

# %% [markdown]
# ## From events to frames
#
# Events that no neighbour shares are noise, and dropped. The rest is cut into frames of 3 ms; a
# pixel of a frame is 1 if it fired at least once. Of the two polarities, only one is kept.

# %%
Markdown(source(frames))

# %% [markdown]
# The camera makes three small movements. One recording a class: its rate over all frames, and a
# frame from the middle of each movement.

# %%
middles = [len(recordings) * sixths // 6 for sixths in (1, 3, 5)]
moments = {f"frame {t}": recordings[t] for t in middles}
Image(grid({k: as_pictures(v) for k, v in {"rate": recordings, **moments}.items()}, names))

# %% [markdown]
# ## The target
#
# `run_study` trains the target and the evaluator, attacks the target, and has the evaluator judge
# the result. Each stage is stored, so that running this again trains nothing.

# %%
networks = [run.target, *run.evaluators]
for network in networks:
    print(f"{network.name}: test accuracy {network.facts['test_accuracy']:.4f}")
Image(curves({network.name: network.facts["curve"] for network in networks}, steps="epoch"))

# %% [markdown]
# ## The attacks
#
# **BrainLeaks-v1** climbs the confidence $p_c(x) = \frac{1}{T} \sum_t \mathrm{softmax}(U[t])_c$
# of the output membrane $U$. From silence, it flips spikes in the direction of the gradient's
# sign, each with a probability $a$ that grows with the gradient's size: $x \leftarrow 1$ if
# $x + \mathrm{sign}(g) \, M > 0$, else $0$, with $M \sim \mathrm{Bernoulli}(a)$.

# %%
Markdown(source(BrainLeaksV1.__call__))

# %% [markdown]
# **BrainLeaks-v2** updates the probability $P$ of each spike with the gradients of a population
# $x_1 \dots x_n$ drawn from it. Here the cost is the negative log-likelihood, which keeps its
# slope where the confidence is near 0, plus a sparsity penalty with weight $\lambda$:
#
# $$\mathrm{cost}_k = -\frac{1}{T} \sum_t \log \mathrm{softmax}(U[t])_c + \lambda \, \overline{x_k},
# \qquad g = \frac{\sum_k \mathrm{cost}_k \, \nabla \mathrm{cost}_k}{\sum_k \mathrm{cost}_k}.$$

# %%
Markdown(source(negative_log_likelihood, BrainLeaksV2._gradient, BrainLeaksV2._step))

# %%
Image(curves({item.name: item.facts["curve"] for item in run.reconstructions}, steps="iteration"))

# %% [markdown]
# ## The reconstructions
#
# Averaged over time:

# %%
Image(grid(outcome_rows(run), names))

# %% [markdown]
# And in time, slowed down about 25 times. Probabilities are shown as grey, the
# largest as white.

# %%
trains = {"training recording": recordings} | {i.name: i.values for i in run.reconstructions}
animation = animate({label: values.cpu().numpy() for label, values in trains.items()}, names)
Image(animation, format="png")  # a GIF, under a name that every viewer of notebooks shows

# %% [markdown]
# ## The evaluation
#
# A second network, of another architecture, is shown each reconstruction. In the matrix, row $i$
# is the reconstruction made for class $i$, and column $c$ the evaluator's confidence in class
# $c$. Attack accuracy and top-3 accuracy ask whether a row's largest entries include the
# diagonal; the confidence is the diagonal's mean; the DAA asks whether a column's largest entry
# lies on it.

# %%
evaluator = run.evaluators[0].name
found = {item.name: item.judgements[evaluator].matrix.cpu().numpy() for item in run.reconstructions}
Image(matrices(found, names))

# %%
Markdown(metrics_table(run))

# %% [markdown]
# The evaluator learned from the same recordings as the target. Its agreement is no proof of a
# likeness: that has to be seen in the pictures.
