"""The pages' templates, with their styles and their script inside."""

import base64
import hashlib
import json
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from brainleaks.errors import printable
from brainleaks.report.defended import listed

_DASH, _MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
_FOLDER = resources.files("brainleaks.report") / "templates"


def render(name: str, **content: Any) -> str:
    """A page of the template ``name``."""
    style, script = (_source(asset) for asset in ("page.css", "page.js"))
    own = {"style": style, "script": f"\n{script}", "policy": _policy(f"\n{script}")}
    return _environment().get_template(name).render(**content, **own)


def fragment(name: str, **content: Any) -> Markup:
    """A part of a page, of the template ``name``."""
    return Markup(_environment().get_template(name).render(**content))  # noqa: S704 (it escapes)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        autoescape=True,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FunctionLoader(_source),
    )
    environment.filters |= {
        "share": lambda value: _DASH if value is None else _number(value, "z.3f"),
        "rough": lambda value: _DASH if value is None else _number(value, "z.2f"),
        "signed": lambda value: _number(value, "+z.3f"),
        "probability": lambda p: "< 0.001" if p < 0.001 else f"{p:.3f}",
        "listed": listed,
        "pretty": lambda value: json.dumps(value, indent=2),
        "percent": lambda value, ends: round(100 * (value - ends[0]) / (ends[1] - ends[0]), 2),
    }
    return environment


def _shown(value: Any) -> Any:
    """Text without control characters that could hide or reverse it."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable(value, len(value))
    return value


def _policy(script: str) -> str:
    """Allow a page its own script, styles, pictures and sound, and nothing from anywhere else."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; media-src data:; "
        f"style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )


def _number(value: float, form: str) -> str:
    return format(value, form).replace("-", _MINUS)


def _source(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
