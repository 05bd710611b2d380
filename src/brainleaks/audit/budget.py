"""An audit within a time: what each part costs is measured, and what does not fit is left out."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from brainleaks.attacks import ATTACKS
from brainleaks.audit.costs import Costs
from brainleaks.errors import InputError, option
from brainleaks.studies import Study
from brainleaks.studies.reading import parse_study

#: Attacks that find most, of those that cost least; the others are left out first.
_CORE = ("smooth-inversion", "pattern-inversion", "score-evolution", "boundary-repulsion")
#: Below these, an audit can decide nothing.
_FEWEST_JUDGE_STEPS, _FEWEST_ITERATIONS = 150, 5

Content = dict[str, Any]


@dataclass(frozen=True)
class Fitted:
    """A study that fits, what it is estimated to take, and sentences on what was left out."""

    study: Study
    seconds: dict[str, float]
    said: tuple[str, ...]


def seconds_of(time: float | str) -> float:
    """A budget in seconds, given as a number of them or as ``"90s"``, ``"10m"`` or ``"2h"``.

    Raises:
        InputError: if it is none of these, or not positive.
    """
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([smh]?)", str(time))
    seconds = float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]] if found else 0.0
    if not isinstance(time, str):
        seconds = float(time)
    if not 0 < seconds < math.inf:
        raise InputError(
            f"{option('budget')}: found {time!r}; expected a time, such as 90s, 10m or 2h."
        )
    return seconds


def fit(study: Study, costs: Costs, budget: float) -> Fitted:
    """Leave out of a study what does not fit.

    In this order: repeated reconstructions, the attacks that find least for what they cost, half of
    the training, half of the iterations, and membership; then all but one attack, and again half.

    Args:
        study: of an audit.
        costs: of its parts.
        budget: seconds.
    """
    content, said = study.model_dump(mode="json"), list[str]()
    for cut in _cuts(study, costs):
        if sum(costs.of(study).values()) <= budget:
            break
        if (sentence := cut(content)) is not None:
            said.append(sentence)
            study = parse_study(option("budget"), content)
    seconds = costs.of(study)
    total = sum(seconds.values())
    parts = ", ".join(f"{name} {shown(value)}" for name, value in seconds.items())
    lines = [f"Estimated time: {shown(total)} ({parts})."]
    if said:
        lines.append(f"Left out to fit {shown(budget)}: {'; '.join(said)}.")
    if total > budget:
        lines.append("Even so the audit is estimated to take longer: it cannot do with less.")
    content["description"] = " ".join([study.description, *lines[1:]]).strip()
    return Fitted(parse_study(option("budget"), content), seconds, tuple(lines))


def shown(seconds: float) -> str:
    """A time as people say it."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _cuts(study: Study, costs: Costs) -> Iterator[Callable[[Content], str | None]]:
    """What can be left out, in order."""
    yield _one_reconstruction
    made = [n for n, a in study.attacks.items() if a.kind == "class-reconstruction"]
    by_cost = sorted(made, key=lambda n: -costs.attacks.get(n, (0.0, 0.0))[1])
    kept = [n for n in made if study.attacks[n].attack in _CORE] or by_cost[-1:]
    for name in by_cost:
        if name not in kept:
            yield _without(name)
    yield _half_training
    yield _half_iterations
    yield _without_membership
    for name in by_cost:
        if name in kept[1:]:
            yield _without(name)
    for _ in range(2):
        yield _half_training
        yield _half_iterations
    yield _half_iterations


def _one_reconstruction(content: Content) -> str | None:
    judging = content["judging"]
    if judging is None or judging["reconstructions"] == 1:
        return None
    judging["reconstructions"] = 1
    return "all but one reconstruction of each class"


def _without(name: str) -> Callable[[Content], str | None]:
    def cut(content: Content) -> str | None:
        del content["attacks"][name]
        return f"the attack {name}"

    return cut


def _half_training(content: Content) -> str | None:
    judging = content["judging"]
    if judging is None or judging["judge_steps"] <= _FEWEST_JUDGE_STEPS:
        return None
    judging["judge_steps"] = max(_FEWEST_JUDGE_STEPS, judging["judge_steps"] // 2)
    for model in [content["target"], *content["evaluators"].values()]:
        model["training"]["epochs"] = math.ceil(model["training"]["epochs"] / 2)
    return f"half of the training of judges and controls ({judging['judge_steps']} steps are left)"


def _half_iterations(content: Content) -> str | None:
    halved = []
    for name, attack in content["attacks"].items():
        kind, count = ATTACKS[attack["attack"]].kind, attack.get("iterations", 0)
        if kind == "class-reconstruction" and count > _FEWEST_ITERATIONS:
            attack["iterations"] = max(_FEWEST_ITERATIONS, count // 2)
            halved.append(f"{name} ({attack['iterations']} are left)")
    return f"half of the iterations of {', '.join(halved)}" if halved else None


def _without_membership(content: Content) -> str | None:
    named = {n: ATTACKS[a["attack"]].kind for n, a in content["attacks"].items()}
    dropped = [name for name, kind in named.items() if kind == "membership"]
    if not dropped or len(dropped) == len(named):
        return None
    for name in dropped:
        del content["attacks"][name]
    content.pop("membership", None)
    return "membership"
