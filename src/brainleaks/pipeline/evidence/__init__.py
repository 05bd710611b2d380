"""The kinds of evidence, one file each.

Every file of this folder is searched for a ``KIND``, so a new one needs no entry anywhere else.
"""

import pkgutil
from importlib import import_module

from brainleaks.pipeline.evidence.kind import Case, Evidence, Kind


def _found() -> list[Kind]:
    modules = (import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__))
    return [module.KIND for module in modules if hasattr(module, "KIND")]


#: Every kind of evidence by its name.
KINDS: dict[str, Kind] = {kind.name: kind for kind in _found()}

__all__ = ["KINDS", "Case", "Evidence", "Kind"]
