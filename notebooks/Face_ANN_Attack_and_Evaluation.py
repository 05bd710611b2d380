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
# # Faces, ordinary network: attack and evaluation
#
# A network with one hidden layer learns to recognise forty people from eight photographs of each.
# Then the photographs are put away. This is the case in which model inversion was first shown
# (Fredrikson, Jha and Ristenpart, CCS 2015), and the one in which it hurts: a class is a person.
#
# - **In:** the trained weights, and the number of a person.
# - **Out:** one picture of 112 x 92 pixels for each person.
#
# The photographs are those of the AT&T Database of Faces, with credit to AT&T Laboratories
# Cambridge.

# %% tags=["parameters"]
PRESET = "faces-ann"
SEED = 0
SETTINGS = ("judging=null",)  # changes to the preset: here, the paper's evaluators judge alone

# %%
from IPython.display import Image, Markdown

from brainleaks import Fredrikson
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

for network in networks:
    print(f"{network.name}: test accuracy {network.facts['test_accuracy']:.4f}")
Image(curves({network.name: network.facts["curve"] for network in networks}, steps="epoch"))

# %% [markdown]
# ## The attack
#
# The weights are held still, and the picture moves: from black, $x = 0$, down the slope of the
# cost $1 - p_c(x)$, where $p_c$ is the network's confidence that $x$ is person $c$:
#
# $$x \leftarrow x - \eta \, \nabla_x (1 - p_c(x)).$$
#
# A person's picture stands still once its cost is small enough, or has not improved for a number
# of steps. Unlike in the study of MNIST, pixels may leave $[0, 1]$; the picture is scaled back at
# the end.
#
# One hidden layer sees the whole picture at once, and each hidden unit's weights are a template
# of it. A gradient is a weighted sum of these templates, so that what rises in $x$ is what sets
# this person apart from the others.

# %%
Markdown(source(Fredrikson.__call__, Fredrikson._step))

# %%
Image(curves({item.name: item.facts["curve"] for item in run.reconstructions}, steps="step"))

# %% [markdown]
# ## The reconstructions
#
# For half of the people, the first training photograph and what the attack makes of the network's
# weights. Each picture is stretched to its own range of grey.

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
found = {
    f"{item.name}, judged by {evaluator}": judgement.matrix.cpu().numpy()
    for item in run.reconstructions
    for evaluator, judgement in item.judgements.items()
}
Image(matrices(found, names))

# %%
Markdown(metrics_table(run))

# %% [markdown]
# The evaluator learned from the same photographs as the target. Its agreement is no proof of a
# likeness: that has to be seen in the pictures. They are personal data, and to be treated as
# photographs are.
