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
# # MNIST, spiking network: the evaluation
#
# [MNIST_SNN_Attack](MNIST_SNN_Attack.ipynb) reconstructed one digit a class from the weights of a
# spiking network. Are they digits? This notebook asks a second network, and looks at what its
# answer is worth.
#
# - **In:** the reconstructions, spikes or probabilities of spikes, and an evaluator.
# - **Out:** a matrix of confidences, and four figures read from it.
#
# It is the same run as that of the attack's notebook: `run_study` keeps every stage in a cache,
# under the hash of all that determines it, so nothing is trained or attacked anew here.

# %% tags=["parameters"]
PRESET = "mnist-snn"
SEED = 0
SETTINGS = ("judging=null",)  # changes to the preset: here, the paper's evaluators judge alone

# %%
import torch
from IPython.display import Image, Markdown

from brainleaks.evaluation.judge import confidences, judge_spikes
from brainleaks.evaluation.metrics import metrics
from brainleaks.pipeline import run_study
from brainleaks.pipeline.loading import one_a_class
from brainleaks.report.figures import curves, grid, matrices
from brainleaks.studies import load_study
from shown import metrics_table, outcome_rows, source

# %%
study = load_study(PRESET, SETTINGS)
run = run_study(study, seed=SEED)
names = list(run.dataset.class_names)
Image(grid(outcome_rows(run), names))

# %% [markdown]
# ## The evaluator
#
# A network of another architecture than the target: two convolutions instead of one hidden layer,
# so that it has to be convinced by another kind of feature.

# %%
for network in run.evaluators:
    print(f"{network.name}: test accuracy {network.facts['test_accuracy']:.4f}")
Image(curves({network.name: network.facts["curve"] for network in run.evaluators}, steps="epoch"))

# %% [markdown]
# Its confidence in class $c$ for an input $x$ is the attack's own measure, in another network:
# $Q_c(x) = \frac{1}{T} \sum_t \mathrm{softmax}(U[t])_c$. Spikes are judged as they are.
# From probabilities, a spike train is drawn first; many more are drawn to measure how much depends
# on the draw.

# %%
Markdown(source(judge_spikes))

# %% [markdown]
# ## The confidence matrix
#
# Row $i$ is the reconstruction made for class $i$. On the left, for comparison, real training
# images: an evaluator that is unsure of those could not judge anything. Elsewhere, the attacks.

# %%
real = study.encoding(one_a_class(run.dataset), torch.Generator().manual_seed(SEED))
found = {"training images": confidences(run.evaluators[0].network, real)}
for item in run.reconstructions:
    found[item.name] = item.judgements[run.evaluators[0].name].matrix
Image(matrices({name: matrix.cpu().numpy() for name, matrix in found.items()}, names))

# %% [markdown]
# ## The figures
#
# Attack accuracy and top-3 accuracy look along the rows: is a reconstruction taken for its class?
# The distinct attack accuracy (DAA) looks along the columns: of all reconstructions, is the one
# made for a class the one that looks most like it? It stays high where every reconstruction is a
# little too much like one class.

# %%
Markdown(source(metrics))

# %%
Markdown(metrics_table(run))

# %% [markdown]
# ## What this is worth
#
# The evaluator learned from the same digits as the target, and a network can be convinced by a
# pattern that no person would call a digit. A high attack accuracy says that the two networks
# agree; whether the reconstruction resembles the training data is for the eye to say, in the
# pictures on top.
