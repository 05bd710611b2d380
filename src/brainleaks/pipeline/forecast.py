"""How many stages a run will have, by their kinds: what its line of progress counts against."""

from collections import Counter

from brainleaks.data import Dataset
from brainleaks.defences import acting
from brainleaks.evaluation.controls import possible
from brainleaks.evaluation.panel import KINDS, TAKES
from brainleaks.studies.config import External, Study
from brainleaks.studies.testing import Judging, Membership, TrainingSteps

#: Controls that attack networks of their own, and how many networks each attacks.
_NETWORKS = {"untrained": 1, "shuffled-labels": 1, "without-class": 2}


def forecast(study: Study, dataset: Dataset) -> Counter[str]:
    """The number of stages, by the first part of their names, such as ``train``.

    It holds where every control is possible and nothing fails; a run may need more or fewer.
    """
    found = Counter(train=len(study.evaluators))
    found["measure" if isinstance(study.target, External) else "train"] += 1
    if not isinstance(study.target, External):
        found["spikes"] += study.family == "snn"
        found["measure"] += bool(acting(study.defences, "weights", "neurons"))
    found["train"] += study.prior is not None
    by_kind: dict[str, list[str]] = {}
    for name, attack in study.attacks.items():
        by_kind.setdefault(attack.kind, []).append(name)
    for kind, names in by_kind.items():
        if kind == "class-reconstruction":
            found += _reconstructions(study, dataset, names)
        elif kind == "membership":
            found += _membership(study, names)
        elif kind == "user-membership":
            found += _users(study, names)
        elif kind == "recovered-batch":
            steps = study.training_steps or TrainingSteps()
            found["attack"] += 2 * steps.batches * len(names)  # and with shuffled gradients
        else:
            found["attack"] += len(names)
    found["train"] += _halves(study, dataset, by_kind)
    return +found


def _reconstructions(study: Study, dataset: Dataset, names: list[str]) -> Counter[str]:
    found = Counter(attack=len(names), judge=len(names) * len(study.evaluators))
    if study.judging is None:
        return found
    found["judge"] += sum(dataset.signal in TAKES[kind] for kind in KINDS)
    classes = len(dataset.class_names)
    asked = [control for control in study.judging.controls if possible(control, classes)]
    for name in names:
        own, control = study.judging.repeats(study.attacks[name], classes)
        found["attack"] += own - 1
        found["score"] += own
        for one in asked:
            found["score"] += 0 if one == "class-mean" else control
            found["attack"] += control * _NETWORKS.get(one, 0)
    lengths = {getattr(study.attacks[name], "time_steps", None) for name in names}
    found["score"] += len(lengths) * ("class-mean" in asked)
    found["train"] += "shuffled-labels" in asked
    return found


def _halves(study: Study, dataset: Dataset, by_kind: dict[str, list[str]]) -> int:
    """Networks on half of the classes: a control, and the proof that a recipe can train others."""
    judging = study.judging if "class-reconstruction" in by_kind else None
    few = not possible("without-class", len(dataset.class_names))
    proof = isinstance(study.target, External) and (judging or by_kind.keys() & _RETRAINING)
    if few:
        return 1 if proof else 0
    return 2 if proof or (judging and _asks_without_class(judging)) else 0


_RETRAINING = {"membership", "user-membership"}


def _asks_without_class(judging: Judging) -> bool:
    return "without-class" in judging.controls


def _membership(study: Study, names: list[str]) -> Counter[str]:
    settings = study.membership or Membership()
    needed = any(getattr(study.attacks[name], "shadows", False) for name in names)
    shadows = settings.shadows if needed else 0
    return Counter(train=shadows + 1, ask=shadows, attack=2 * len(names))


def _users(study: Study, names: list[str]) -> Counter[str]:
    networks = (study.membership or Membership()).shadows
    queries = {getattr(study.attacks[name], "queries", None) for name in names}
    return Counter(train=networks, ask=networks * len(queries), attack=networks * len(names))
