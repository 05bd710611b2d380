"""For a test suite: fail where a model leaks more than is accepted."""

from typing import Any

from brainleaks.audit import audit
from brainleaks.errors import InputError
from brainleaks.evaluation.levels import LEVELS
from brainleaks.evaluation.verdict import shows
from brainleaks.result import Result


def assert_leaks_at_most(model: Any, data: Any, level: int = 1, **how: Any) -> Result:
    """Audit a model, and fail if it leaks more than a level of the verdict.

    It passes only if the next level was tested and refuted, and no higher one is shown: a test is
    never green for want of evidence. With ``level=2`` and with ``level=3``, do not leave membership
    or reconstructions out.

    Args:
        model: as :func:`brainleaks.audit.audit` takes it.
        data: likewise.
        level: the highest that is accepted, from 0 (nothing) to 3 (membership).
        **how: further arguments of ``audit``, such as ``holdout=0.2`` or ``budget=600``.

    Returns:
        What the audit found.

    Raises:
        AssertionError: if a higher level is shown, or the next one was not decided.
        InputError: as ``audit``, or if there is no such level.

    Example:
        >>> from brainleaks.testing import assert_leaks_at_most
        >>> def test_privacy():
        ...     assert_leaks_at_most(network, (x, y), level=1, holdout=0.2, steps=25)
    """
    __tracebackhide__ = True
    if level not in range(len(LEVELS)):
        raise InputError(f"level={level!r}: expected one of 0 to {len(LEVELS) - 1}.")
    result = audit(model, data, **how)
    verdict: Any = result.verdict
    shown = shows(verdict, level + 1)
    if shown:
        raise AssertionError(f"At most level {level} is accepted. {verdict['sentence']}")
    if shown is None:
        rung = verdict["levels"][level]
        why = " ".join(verdict["reasons"]) or rung["sentence"]
        raise AssertionError(
            f"Level {level + 1} ({rung['name']}) is {rung['status']}, so that nothing shows that "
            f"the model leaks at most level {level}: {why}"
        )
    return result
