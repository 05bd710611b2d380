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
# # Faces, spiking network: attack and evaluation
#
# A spiking network learns to recognise forty people from eight photographs of each. Then the
# photographs are put away, and BrainLeaks asks the weights what the people look like.
#
# - **In:** the trained weights, and the number of a person.
# - **Out:** for each person $T = 25$ frames of 112 x 92 pixels: spikes of 0 and 1 from
#   BrainLeaks-v1, probabilities of spikes in $[0, 1]$ from BrainLeaks-v2. Their mean over time is
#   the picture.
#
# The paper's own study of this case is lost; the preset's description below names the source of
# each setting. The photographs are those of the AT&T Database of Faces, with credit to AT&T
# Laboratories Cambridge.

# %% tags=["parameters"]
PRESET = "faces-snn"
SEED = 0
SETTINGS = ("judging=null",)  # changes to the preset: here, the paper's evaluators judge alone

# %%
from IPython.display import Image, Markdown

from brainleaks import BrainLeaksV1, BrainLeaksV2
from brainleaks.attacks.fields import draw
from brainleaks.pipeline import run_study
from brainleaks.report.figures import curves, grid, matrices
from brainleaks.studies import load_study
from shown import metrics_table, outcome_rows, source

# %% [markdown]
# ## The target
#
# `run_study` trains the target and the evaluator, attacks the target, and has the evaluator judge
# the result. Each stage is stored, so that running this again trains nothing.

# %%
study = load_study(PRESET, SETTINGS)
run = run_study(study, seed=SEED)
names = list(run.dataset.class_names)
networks = [run.target, *run.evaluators]

print(study.description)
for network in networks:
    print(f"{network.name}: test accuracy {network.facts['test_accuracy']:.4f}")
Image(curves({network.name: network.facts["curve"] for network in networks}, steps="epoch"))

# %% [markdown]
# ## The attacks
#
# Both climb the confidence $p_c(x) = \frac{1}{T} \sum_t \mathrm{softmax}(U[t])_c$, where $U$ is
# the output layer's membrane potential; [MNIST_SNN_Attack](MNIST_SNN_Attack.ipynb) explains them
# step by step.
#
# **BrainLeaks-v1** keeps a spike train and flips its spikes in the direction of the gradient's
# sign, each with a probability that grows with the gradient's size: $x \leftarrow 1$ if
# $x + \mathrm{sign}(g) \, M > 0$, else $0$, with $M \sim \mathrm{Bernoulli}(a)$ and
# $a = (|g| - \min|g|) / (\max|g| - \min|g|)$.

# %%
Markdown(source(BrainLeaksV1.__call__))

# %% [markdown]
# **BrainLeaks-v2** keeps the probability $P$ of each spike, draws a population of spike trains
# from it, and moves $P$ by the members' gradients, weighed by their costs.

# %%
Markdown(source(draw, BrainLeaksV2._gradient))

# %%
Image(curves({item.name: item.facts["curve"] for item in run.reconstructions}, steps="iteration"))

# %% [markdown]
# ## The reconstructions
#
# For half of the people, the first training photograph and the rates of spikes that each attack
# makes of the network's weights. Each picture is stretched to its own range of grey.

# %%
SHOWN = 20
Image(grid({label: row[:SHOWN] for label, row in outcome_rows(run).items()}, names[:SHOWN]))

# %% [markdown]
# ## The evaluation
#
# A second network, of another architecture, is shown each reconstruction. In the matrix, row $i$
# is the reconstruction made for person $i$, and column $c$ the evaluator's confidence that it is
# person $c$. Attack accuracy and top-3 accuracy ask whether a row's largest entries include the
# diagonal; the confidence is the diagonal's mean; the DAA asks whether a column's largest entry
# lies on it.

# %%
evaluator = run.evaluators[0].name
found = {item.name: item.judgements[evaluator].matrix.cpu().numpy() for item in run.reconstructions}
Image(matrices(found, names))

# %% [markdown]
# Probabilities are judged on one draw of spikes, and on many for a mean and a standard deviation.

# %%
Markdown(metrics_table(run))

# %% [markdown]
# The evaluator learned from the same photographs as the target. Its agreement is no proof of a
# likeness: that has to be seen in the pictures. They are personal data, and to be treated as
# photographs are.
