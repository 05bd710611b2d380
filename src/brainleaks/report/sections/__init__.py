"""The page's section for each kind of evidence, one file each.

Every file of this folder is searched for a ``KIND`` and a ``section``, so a new one needs no entry
anywhere else.
"""

import pkgutil
from collections.abc import Callable
from importlib import import_module

from markupsafe import Markup

from brainleaks.report.run import Run
from brainleaks.report.sections.section import Section


def _found() -> dict[str, Callable[[Run], Section]]:
    modules = (import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__))
    return {module.KIND: module.section for module in modules if hasattr(module, "KIND")}


_SECTIONS = _found()


def sections(run: Run) -> list[Section]:
    """A section for each kind of evidence that a run has."""
    kinds = ["class-reconstruction"] if run.attacks else []
    return [_section(run, kind) for kind in [*kinds, *run.results.get("evidence", {})]]


def _section(run: Run, kind: str) -> Section:
    if kind in _SECTIONS:
        return _SECTIONS[kind](run)
    said = "<section><h2>{}</h2><p>This version cannot show evidence of this kind.</p></section>"
    return Section({}, Markup(said).format(kind))  # noqa: S704 (a constant)


__all__ = ["Section", "sections"]
