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
# # DVS128 Gesture, spiking network: attack and evaluation
#
# An event camera watches people wave, clap and circle their arms; a spiking network learns to
# tell the gestures. What do its weights say about the people that moved?
#
# - **In:** the trained weights, and a gesture $c$.
# - **Out:** a recording for each gesture, $T = 100$ frames of 128 x 128 pixels: spikes of 0 and 1
#   from BrainLeaks-v1, probabilities of spikes in $[0, 1]$ from BrainLeaks-v2.
#
# **This is an exercise, not a result.** The preset `dvsgesture-clips` has ten clips of 1.45 s,
# one movement of one person for each gesture, cut into overlapping slices of 250 ms; training and
# test slices come from the same movement. It walks the whole pipeline on real events, and no figure
# below says anything about gestures. The paper's study, on the recordings of 29 people, is
# `dvsgesture-snn`: set `PRESET = "dvsgesture-snn"` if you have the data, and the time.

# %% tags=["parameters"]
PRESET = "dvsgesture-clips"
SEED = 0
SETTINGS = ("judging=null",)  # changes to the preset: here, the paper's evaluators judge alone

# %%
from textwrap import fill

from IPython.display import Image, Markdown

from brainleaks import BrainLeaksV1, BrainLeaksV2
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
titles = [fill(name, 10) for name in names]
recordings = one_a_class(run.dataset)

# %% [markdown]
# ## From events to frames
#
# Polarity is discarded, events without a neighbour are dropped as noise, and the rest is cut into
# frames of 50 ms; a pixel of a frame is 1 if it fired at least once. The first frames
# of a training sample:

# %%
moments = {f"frame {t}": recordings[t] for t in range(min(3, len(recordings)))}
Image(grid({label: as_pictures(values) for label, values in moments.items()}, titles))

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
# **BrainLeaks-v1** flips spikes in the direction of the gradient's sign, each with a probability
# $a$ that grows with the gradient's size: $x \leftarrow 1$ if $x + \mathrm{sign}(g) \, M > 0$,
# else $0$, with $M \sim \mathrm{Bernoulli}(a)$. On this data set, and nowhere else, the paper
# takes the confidence that it climbs from the softmax of the output *spikes* instead of the
# membrane: the attack's `readout`.

# %%
print(study.attacks["brainleaks-v1"])
Markdown(source(BrainLeaksV1.__call__))

# %% [markdown]
# **BrainLeaks-v2** updates the probability $P$ of each spike with the gradients of a population
# of spike trains drawn from it. Its cost is the negative log-likelihood $-\frac{1}{T} \sum_t
# \log \mathrm{softmax}(U[t])_c$ of the output membrane $U$, plus a sparsity penalty.

# %%
print(study.attacks["brainleaks-v2"])
Markdown(source(BrainLeaksV2.__call__, BrainLeaksV2._step))

# %%
Image(curves({item.name: item.facts["curve"] for item in run.reconstructions}, steps="iteration"))

# %% [markdown]
# ## The reconstructions
#
# Averaged over time:

# %%
Image(grid(outcome_rows(run), titles))

# %% [markdown]
# And in time, for some of the gestures. The training sample, which is short, starts again when it
# is over; probabilities are shown as grey, the largest as white.

# %%
SHOWN = [1, 2, 3, 7]
trains = {"training recording": recordings} | {i.name: i.values for i in run.reconstructions}
animation = animate(
    {label: values[:, SHOWN].cpu().numpy() for label, values in trains.items()},
    [names[i] for i in SHOWN],
)
Image(animation, format="png")  # a GIF, under a name that every viewer of notebooks shows

# %% [markdown]
# ## The evaluation
#
# A second network, of another architecture, is shown each reconstruction. In the matrix, row $i$
# is the reconstruction made for gesture $i$, and column $c$ the evaluator's confidence in gesture
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
# The target and the evaluator have seen one person move once for each gesture: that they agree
# says no more than that the pipeline works. The figures of the paper's study come from
# `brainleaks run dvsgesture-snn`.
