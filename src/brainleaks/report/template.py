"""The pages' templates, with their styles and their script inside."""

import json
from importlib import resources
from typing import Any

import jinja2

_DASH, _MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
_FOLDER = resources.files("brainleaks.report") / "templates"


def render(name: str, **content: Any) -> str:
    """A page of the template ``name``."""
    style, script = (_source(asset) for asset in ("page.css", "page.js"))
    return _environment().get_template(name).render(**content, style=style, script=script)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        autoescape=True,
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
        "pretty": lambda value: json.dumps(value, indent=2),
        "percent": lambda value, ends: round(100 * (value - ends[0]) / (ends[1] - ends[0]), 2),
    }
    return environment


def _number(value: float, form: str) -> str:
    return format(value, form).replace("-", _MINUS)


def _source(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
