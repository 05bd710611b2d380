"""Membership attacks, each beside its paper's formula written out sample by sample."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy import optimize, stats

from brainleaks import AccessError, Target
from brainleaks.attacks import ATTACKS
from brainleaks.attacks.membership.attack_p import AttackP
from brainleaks.attacks.membership.attack_r import AttackR
from brainleaks.attacks.membership.bavaria import Bavaria
from brainleaks.attacks.membership.calibrated_loss import CalibratedLoss
from brainleaks.attacks.membership.class_svm import ClassSVM
from brainleaks.attacks.membership.discriminant import Discriminant, discriminant
from brainleaks.attacks.membership.input_dropout import InputDropout
from brainleaks.attacks.membership.knowledge import Candidates, References, confidences, logit
from brainleaks.attacks.membership.lira import Lira
from brainleaks.attacks.membership.loss_threshold import LossThreshold
from brainleaks.attacks.membership.noise_agreement import NoiseAgreement
from brainleaks.attacks.membership.quantile_regression import QuantileRegression
from brainleaks.attacks.membership.rmia import Rmia
from brainleaks.attacks.membership.weight_credit import WeightCredit
from brainleaks.attacks.membership.weight_span import WeightSpan
from brainleaks.attacks.membership.weights import Explanation, leverage
from brainleaks.data import Samples
from brainleaks.data.encoding import RateCode, as_images
from brainleaks.errors import InputError
from brainleaks.evaluation.membership import auc
from brainleaks.networks import MLP

SHAPE, CLASSES, COUNT, SHADOWS = (1, 4, 5), 6, 30, 8
ALL = [
    LossThreshold(), AttackP(), AttackR(), CalibratedLoss(), Lira(), Lira(online=False), Rmia(),
    Rmia(online=False), Bavaria(), InputDropout(masks=3), NoiseAgreement(queries=2), WeightSpan(),
    QuantileRegression(components=4), WeightCredit(), Discriminant(),
    ClassSVM(),
]  # fmt: skip


@pytest.fixture
def candidates():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(COUNT, *SHAPE, generator=generator)
    return Candidates(Samples(inputs, torch.arange(COUNT) % CLASSES), as_images)


@pytest.fixture
def references():
    generator = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(SHADOWS, COUNT, CLASSES, generator=generator)
    order = torch.rand(SHADOWS, COUNT, generator=generator).argsort(0)
    population = torch.arange(COUNT) >= COUNT // 2
    return References(logits.softmax(-1), order < SHADOWS // 2, population, NETWORKS)


def target(access="initial-weights", seed=2):
    torch.manual_seed(seed)
    before, after = MLP(SHAPE, CLASSES, hidden=12), MLP(SHAPE, CLASSES, hidden=12)
    return Target(after, input_shape=SHAPE, classes=CLASSES, access=access, initial=before)


#: Reference networks, as whoever trained them knows them.
NETWORKS = [partial(target, seed=50 + k) for k in range(SHADOWS)]


@pytest.fixture
def own(candidates):
    """The target's confidence in each sample's class, by a forward pass of our own."""
    inputs, labels, _ = candidates.samples
    answers = target()._network(inputs).double().softmax(-1).detach()
    return [float(row[y]) for row, y in zip(answers, labels, strict=True)]


def of_references(references, labels):
    """``p[k][i]``: the confidence of reference network k in sample i's class."""
    return [
        [float(row[y]) for row, y in zip(net, labels, strict=True)] for net in references.scores
    ]


def logit_of(p):
    return math.log(p) - math.log(1 - p)


@pytest.mark.parametrize("attack", ALL, ids=lambda a: a.attack)
def test_one_finite_score_a_sample_always_the_same(attack, candidates, references):
    first = attack(target(), candidates, references)
    assert first.shape == (COUNT,)
    assert first.isfinite().all()
    assert torch.equal(first, attack(target(), candidates, references))


@pytest.mark.parametrize("attack", ALL, ids=lambda a: a.attack)
def test_it_asks_for_the_access_that_it_declares(attack, candidates, references):
    attack(target(attack.access), candidates, references)
    below = {"scores": "labels", "initial-weights": "gradients"}
    if attack.access in below:
        with pytest.raises(AccessError, match=f"needs the target's {attack.access}"):
            attack(target(below[attack.access]), candidates, references)


@pytest.mark.parametrize("attack", [a for a in ALL if a.shadows], ids=lambda a: a.attack)
def test_reference_networks_that_are_missing_are_missed(attack, candidates, references):
    none = References(references.scores[:0], references.trained_on[:0], references.population)
    with pytest.raises(InputError, match=r"raise membership\.shadows"):
        attack(target(), candidates, none)


def test_loss_and_population(own, candidates, references):
    loss = [-math.log(p) for p in own]
    assert LossThreshold()(target(), candidates, references).tolist() == pytest.approx(
        [-value for value in loss], rel=1e-5
    )
    shares = []
    for i in range(COUNT):
        others = [loss[z] for z in range(COUNT) if references.population[z]]
        shares.append(sum(other > loss[i] for other in others) / len(others))
    assert AttackP()(target(), candidates, references).tolist() == pytest.approx(shares)


def test_reference_networks_without_the_sample(own, candidates, references):
    p = of_references(references, candidates.labels)
    shares, differences = [], []
    for i in range(COUNT):
        out = [p[k][i] for k in range(SHADOWS) if not references.trained_on[k, i]]
        shares.append(sum(other < own[i] for other in out) / len(out))
        differences.append(math.log(own[i]) - sum(map(math.log, out)) / len(out))
    assert AttackR()(target(), candidates, references).tolist() == pytest.approx(shares)
    found = CalibratedLoss()(target(), candidates, references).tolist()
    assert found == pytest.approx(differences, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("per_sample_from", [2, 100])
def test_lira(per_sample_from, own, candidates, references):
    p = of_references(references, candidates.labels)
    sides = {}
    for side in (True, False):
        sides[side] = [
            [logit_of(p[k][i]) for k in range(SHADOWS) if bool(references.trained_on[k, i]) is side]
            for i in range(COUNT)
        ]
    spread = {
        side: math.sqrt(sum(np.var(v) * len(v) for v in values) / sum(len(v) - 1 for v in values))
        for side, values in sides.items()
    }

    def density(side, i):
        scale = np.std(sides[side][i], ddof=1) if per_sample_from == 2 else spread[side]
        return stats.norm(np.mean(sides[side][i]), scale)

    online = [
        density(True, i).logpdf(logit_of(own[i])) - density(False, i).logpdf(logit_of(own[i]))
        for i in range(COUNT)
    ]
    offline = [density(False, i).cdf(logit_of(own[i])) for i in range(COUNT)]
    found = Lira(per_sample_from=per_sample_from)(target(), candidates, references)
    assert found.tolist() == pytest.approx(online, rel=1e-3, abs=1e-3)
    found = Lira(online=False, per_sample_from=per_sample_from)(target(), candidates, references)
    assert stats.norm.cdf(found.numpy()) == pytest.approx(offline, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("gamma", [1.0, 2.0])
@pytest.mark.parametrize("online", [True, False])
def test_rmia(online, gamma, own, candidates, references):
    p, a = of_references(references, candidates.labels), 0.3
    ratio = []
    for i in range(COUNT):
        inside = [p[k][i] for k in range(SHADOWS) if references.trained_on[k, i]]
        without = [p[k][i] for k in range(SHADOWS) if not references.trained_on[k, i]]
        mean = (np.mean(inside) + np.mean(without)) / 2
        corrected = ((1 + a) * np.mean(without) + 1 - a) / 2
        ratio.append(own[i] / (mean if online else corrected))
    shares = []
    for i in range(COUNT):
        population = [z for z in range(COUNT) if references.population[z]]
        shares.append(np.mean([ratio[i] / ratio[z] >= gamma for z in population]))
    found = Rmia(online=online, gamma=gamma, a=a)(target(), candidates, references)
    assert found.tolist() == pytest.approx(shares)


def test_bavaria(own, candidates, references):
    """The predictive distribution of the normal-inverse-gamma model, by its textbook formulas."""
    p = of_references(references, candidates.labels)
    expected = []
    sides = {
        side: [
            [logit_of(p[k][i]) for k in range(SHADOWS) if bool(references.trained_on[k, i]) is side]
            for i in range(COUNT)
        ]
        for side in (True, False)
    }
    for i in range(COUNT):
        densities = []
        for values in sides.values():
            mu = np.mean([np.mean(v) for v in values])
            pooled = sum(np.var(v) * len(v) for v in values) / sum(len(v) - 1 for v in values)
            n, mean, squares = (
                len(values[i]),
                np.mean(values[i]),
                np.var(values[i]) * len(values[i]),
            )
            kappa, alpha = 1 + n, 2 + n / 2
            beta = 2 * pooled + squares / 2 + n * (mean - mu) ** 2 / (2 * kappa)
            scale = math.sqrt(beta * (kappa + 1) / (alpha * kappa))
            predictive = stats.t(2 * alpha, (mu + n * mean) / kappa, scale)
            densities.append(predictive.logpdf(logit_of(own[i])))
        expected.append(densities[0] - densities[1])
    found = Bavaria()(target(), candidates, references).tolist()
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_a_support_vector_machine_a_class(candidates):
    """Each class's decision values, by the dual problem's solution of a general solver."""
    generator = torch.Generator().manual_seed(4)
    scores = (2 * torch.randn(1, COUNT, CLASSES, generator=generator)).softmax(-1)
    learned = torch.rand(COUNT, generator=generator).argsort() % 2 == 0
    learned[:CLASSES], learned[CLASSES : 2 * CLASSES] = True, False
    both = torch.stack([learned, ~learned])
    nobody = torch.zeros(COUNT, dtype=torch.bool)
    given = References(scores.expand(2, -1, -1), both, nobody)
    found = ClassSVM(penalty=0.7)(target(), candidates, given)
    answers = confidences(target(), candidates, None).log().numpy()
    known = scores[0].double().log().numpy()
    for label in range(CLASSES):
        which = (candidates.labels == label).numpy()
        signs = np.where(learned[which], 1.0, -1.0)
        expected = svm(known[which], signs, answers[which], penalty=0.7)
        np.testing.assert_allclose(found[torch.tensor(which)], expected, atol=5e-3)


def svm(known, signs, asked, penalty):
    """Maximise ``sum(a) - a'Qa / 2`` under ``0 <= a <= penalty`` and ``a'signs = 0``."""
    gamma = 1 / (known.shape[1] * known.var())

    def kernel(a, b):
        return np.exp(-gamma * ((a[:, None] - b[None]) ** 2).sum(-1))

    q = kernel(known, known) * np.outer(signs, signs)
    solved = optimize.minimize(
        lambda a: a @ q @ a / 2 - a.sum(),
        np.full(len(signs), penalty / 2),
        jac=lambda a: q @ a - 1,
        bounds=[(0, penalty)] * len(signs),
        constraints={"type": "eq", "fun": lambda a: a @ signs, "jac": lambda a: signs},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    weights = solved.x * signs
    margin = signs - kernel(known, known) @ weights
    inside = (solved.x > 1e-5) & (solved.x < penalty - 1e-5)
    if inside.any():
        offset = margin[inside].mean()
    else:  # any offset between the two sides' margins; libsvm takes their middle
        upper = ((solved.x < 1e-5) & (signs < 0)) | ((solved.x > 1e-5) & (signs > 0))
        offset = (margin[upper].min() + margin[~upper].max()) / 2
    return kernel(asked, known) @ weights + offset


def test_a_class_that_the_shadow_learned_whole_is_judged_by_all_classes(candidates):
    generator = torch.Generator().manual_seed(4)
    scores = (2 * torch.randn(1, COUNT, CLASSES, generator=generator)).softmax(-1)
    learned = candidates.labels == 0
    both = torch.stack([learned, ~learned])
    given = References(scores.expand(2, -1, -1), both, torch.zeros(COUNT).bool())
    found = ClassSVM()(target(), candidates, given)
    answers = confidences(target(), candidates, None).log().numpy()
    known = scores[0].double().log().numpy()
    expected = svm(known, np.where(learned, 1.0, -1.0), answers, penalty=1.0)
    np.testing.assert_allclose(found, expected, atol=5e-3)


def test_a_shadow_that_learned_everything_teaches_nothing(candidates):
    scores = torch.full((2, COUNT, CLASSES), 1 / CLASSES)
    all_and_none = torch.tensor([True, False]).unsqueeze(1).expand(2, COUNT)
    given = References(scores, all_and_none, torch.zeros(COUNT).bool())
    with pytest.raises(InputError, match="was trained on all of the tested samples"):
        ClassSVM()(target(), candidates, given)


def test_quantile_regression(own, candidates, references):
    """Ridge regression by its normal equations, on components by their eigenvectors."""
    inputs, labels, _ = candidates.samples
    x, known = inputs.flatten(1).double().numpy(), references.population.numpy()
    score = np.array([logit_of(p) for p in own])
    centred = x - x[known].mean(0)
    values, vectors = np.linalg.eigh(np.cov(x[known].T))
    components = centred @ vectors[:, ::-1][:, :4] / np.sqrt(values[::-1][:4])
    features = np.concatenate([components, np.eye(CLASSES)[labels.numpy()]], 1)

    def regressed(y):
        a = features[known] - features[known].mean(0)
        gram = a.T @ a + 10.0 * np.eye(a.shape[1])
        slope = np.linalg.solve(gram, a.T @ (y[known] - y[known].mean()))
        return y[known].mean() + (features - features[known].mean(0)) @ slope

    residual = score - regressed(score)
    expected = residual / np.exp(regressed(np.log(residual**2)) / 2)
    found = QuantileRegression(components=4)(target(), candidates, references)
    assert found.numpy() == pytest.approx(expected, rel=1e-5)


def test_an_easy_sample_is_not_taken_for_a_member():
    """Where the loss follows the picture, quantile regression sees beyond it."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(600, *SHAPE, generator=generator)
    member = torch.arange(600) < 150
    easy = 20 * inputs.flatten(1)[:, 0] + 2 * member + torch.randn(600, generator=generator)
    inputs.flatten(1)[:, 0] *= 5  # the leading component

    class Told(torch.nn.Module):
        spiking, activations = False, 1

        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(()))

        def forward(self, asked):
            rows = (asked.flatten(1)[:, None] - inputs.flatten(1)).abs().sum(-1).argmin(1)
            return self.scale * torch.stack([easy[rows], torch.zeros(len(asked))], 1)

    asked = Candidates(Samples(inputs, torch.zeros(600, dtype=torch.long)), as_images)
    view = Target(Told(), input_shape=SHAPE, classes=2, access="scores")
    nothing = torch.zeros(0, 600, 2), torch.zeros(0, 600, dtype=torch.bool)
    known = References(*nothing, torch.arange(600) >= 300)
    areas = {}
    for attack in (QuantileRegression(), LossThreshold()):
        scores = attack(view, asked, known).numpy()
        areas[attack.attack] = auc(scores[member], scores[150:300])["value"]
    assert areas["quantile-regression"] > 0.8 > 0.6 > areas["loss-threshold"]


def test_a_sure_answer_has_a_finite_logit():
    scores = torch.tensor([[1.0, 1e-12, 0.0], [1.0, 0.0, 0.0]])
    found = logit(scores, torch.tensor([0, 0]))
    assert float(found[0]) == pytest.approx(12 * math.log(10), rel=1e-6)
    assert found.isfinite().all()


def test_several_encodings_are_averaged(small_snn):
    view = Target(small_snn, input_shape=SHAPE, classes=CLASSES, access="scores")
    samples = Samples(torch.rand(7, *SHAPE), torch.arange(7) % CLASSES)
    generator = torch.Generator().manual_seed(0)
    many = confidences(view, Candidates(samples, RateCode(9), draws=200), generator)
    assert view.queries == 1400
    again = confidences(view, Candidates(samples, RateCode(9), draws=200), torch.Generator())
    assert not torch.equal(many, again)
    assert float((many - again).abs().max()) < 0.1
    assert many.sum(1).tolist() == pytest.approx([1] * 7, rel=1e-5)


def test_what_training_added_is_where_members_are(references):
    """One step of gradient descent on the first half of the samples adds nothing else."""
    torch.manual_seed(0)
    inputs, labels = torch.rand(20, 1, 8, 8), torch.arange(20) % CLASSES
    before = MLP((1, 8, 8), CLASSES, hidden=40)
    after = MLP((1, 8, 8), CLASSES, hidden=40)
    after.load_state_dict(before.state_dict())
    optimiser = torch.optim.SGD(after.parameters(), 0.5)
    for _ in range(30):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(after(inputs[:10]), labels[:10]).backward()
        optimiser.step()
    view = Target(
        after, input_shape=(1, 8, 8), classes=CLASSES, access="initial-weights", initial=before
    )
    found = WeightSpan(energy=1.0)(view, Candidates(Samples(inputs, labels), as_images), references)
    assert found[:10].min() > 0.999
    assert found[10:].max() < 0.99
    unknown = Target(after, input_shape=(1, 8, 8), classes=CLASSES, access="initial-weights")
    with pytest.raises(AccessError, match="initial weights are not known"):
        WeightSpan()(unknown, Candidates(Samples(inputs, labels), as_images), references)


def test_credit_is_the_share_of_a_regression_along_the_gradient(candidates):
    """Ridge regression by its normal equations, and the gradient by autograd on the weights."""
    view = target()
    inputs = candidates.samples.inputs.flatten(1).double().numpy()
    before, after = view._initial, view._network
    added = (after.fc1.weight - before.fc1.weight).detach().double().numpy()
    ridge = 0.2 * (inputs**2).sum(1).mean()
    parts = np.linalg.solve(inputs @ inputs.T + ridge * np.eye(COUNT), inputs @ added.T)
    middle = MLP(SHAPE, CLASSES, hidden=12)
    for name, weight in middle.named_parameters():
        both = (dict(net.named_parameters())[name].detach() for net in (before, after))
        weight.data = sum(both) / 2
    expected = []
    for i, (image, label) in enumerate(zip(*candidates.samples[:2], strict=True)):
        loss = torch.nn.functional.cross_entropy(middle(image[None]), label[None])
        # the bias is what is added to the layer's output
        push = -torch.autograd.grad(loss, middle.fc1.bias)[0].double().numpy()
        expected.append(parts[i] @ push / np.linalg.norm(push))
    found = Explanation.by(candidates, 0.2).credit(view, candidates, "an attack", None)
    assert found.numpy() == pytest.approx(np.array(expected), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("units", [7, 50])
def test_leverage_is_that_of_ridge_regression(units):
    added = torch.rand(units, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inputs = torch.rand(5, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    gram = added.T @ added
    inverse = torch.linalg.inv(gram / gram.diagonal().mean() + 0.01 * torch.eye(20).double())
    expected = [-float(x @ inverse @ x) for x in inputs]
    assert leverage(added, inputs, 0.01).tolist() == pytest.approx(expected)


def test_the_discriminant_is_fishers():
    """As scikit-learn's, of values centred by hand, up to a factor and an offset."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    rng = np.random.default_rng(0)
    others = rng.normal(size=(8, 40, 3)) @ rng.normal(size=(3, 3))
    on = rng.random((8, 40)).argsort(0) < 4
    others[on] += [0.5, 0.0, 1.0]
    own = rng.normal(size=(40, 3))
    middle = np.zeros((40, 3))
    for i in range(40):
        middle[i] = (others[on[:, i], i].mean(0) + others[~on[:, i], i].mean(0)) / 2
    centred = (others - middle).reshape(-1, 3)
    # each sample's own means are taken off, as well, where values spread within
    spread = others.copy()
    for i, side in np.ndindex(40, 2):
        which = on[:, i] == bool(side)
        spread[which, i] -= others[which, i].mean(0)
    label = on.reshape(-1)
    apart = centred[label].mean(0) - centred[~label].mean(0)
    fitted = LinearDiscriminantAnalysis(solver="eigen").fit(
        np.concatenate([spread.reshape(-1, 3) + apart, spread.reshape(-1, 3)]),
        np.repeat([1, 0], len(label)),
    )
    expected = (own - middle) @ fitted.coef_[0]
    found = discriminant(*map(torch.from_numpy, (own, others, on))).numpy()
    assert np.corrcoef(found, expected)[0, 1] == pytest.approx(1, abs=1e-6)


def test_a_sample_that_was_trained_on_explains_the_weights():
    """One step on half of the samples: they have the credit, and the others next to none."""
    torch.manual_seed(0)
    inputs, labels = torch.rand(20, 1, 8, 8), torch.arange(20) % CLASSES
    before, after = (MLP((1, 8, 8), CLASSES, hidden=40) for _ in range(2))
    after.load_state_dict(before.state_dict())
    loss = torch.nn.functional.cross_entropy(after(inputs[:10]), labels[:10])
    torch.optim.SGD(after.parameters(), 0.5).zero_grad()
    loss.backward()
    torch.optim.SGD(after.parameters(), 0.5).step()
    view = Target(
        after, input_shape=(1, 8, 8), classes=CLASSES, access="initial-weights", initial=before
    )
    asked = Candidates(Samples(inputs, labels), as_images)
    nothing = References(torch.zeros(0, 20, 6), torch.zeros(0, 20).bool(), torch.zeros(20).bool())
    found = WeightCredit(ridge=1e-4)(view, asked, nothing)
    assert found[:10].min() > 5 * found[10:].abs().max()


def test_every_membership_attack_is_here():
    named = {name for name, attack in ATTACKS.items() if attack.kind == "membership"}
    assert named == {attack.attack for attack in ALL}


@pytest.mark.parametrize("attack", [a for a in ALL if a.access != "labels"], ids=lambda a: a.attack)
def test_a_target_that_knows_nobody_favours_neither_side(attack):
    """Two halves of the tested samples, of one distribution: the area is about a half."""
    areas = []
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        inputs = torch.rand(120, *SHAPE, generator=generator)
        asked = Candidates(Samples(inputs, torch.arange(120) % CLASSES), as_images)
        logits = 2 * torch.randn(SHADOWS, 120, CLASSES, generator=generator)
        order = torch.rand(SHADOWS, 120, generator=generator).argsort(0)
        known = References(
            logits.softmax(-1), order < SHADOWS // 2, torch.arange(120) >= 90, NETWORKS
        )
        # of another seed, lest the weights be the numbers that the inputs are
        scores = attack(target(seed=1000 + seed), asked, known).numpy()
        areas.append(auc(scores[:60], scores[60:90])["value"])
    assert np.mean(areas) == pytest.approx(0.5, abs=0.03)


def test_weights_that_did_not_change_are_said_to(candidates, references):
    torch.manual_seed(0)
    network = MLP(SHAPE, CLASSES, hidden=12)
    seen = {"input_shape": SHAPE, "classes": CLASSES, "access": "initial-weights"}
    for attack in (WeightSpan(), WeightCredit(), Discriminant()):
        with pytest.raises(InputError, match="training did not change"):
            attack(Target(network, **seen, initial=network), candidates, references)


def test_many_samples_take_little_memory(candidates, references):
    """Ranks by sorting: a table of all pairs of 200,000 would take 40 GB."""
    count = 200_000
    scores = torch.rand(count, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    class Known(Target):
        def scores(self, inputs):
            return inputs.flatten(1)

    torch.manual_seed(0)
    view = Known(MLP((1, 1, 2), 2, hidden=2), input_shape=(1, 1, 2), classes=2)
    asked = Candidates(Samples(scores.view(-1, 1, 1, 2), torch.zeros(count).long()), as_images)
    halves = torch.arange(4)[:, None] < torch.tensor([2]).expand(count)
    known = References(scores.expand(4, -1, -1), halves, torch.arange(count) >= count // 2)
    assert AttackP()(view, asked, known).shape == Rmia()(view, asked, known).shape == (count,)
