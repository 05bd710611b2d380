"""The documentation site: `make docs` builds it into docs/_build/html."""

import re
from importlib import metadata
from typing import Any

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.application import Sphinx
from sphinx.util import logging

project = "brainleaks"
release = metadata.version("brainleaks")
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3

autodoc_default_options = {"member-order": "bysource", "special-members": "__call__"}
autodoc_inherit_docstrings = False
autodoc_typehints_format = "short"
maximum_signature_line_length = 80
napoleon_numpy_docstring = False
napoleon_use_rtype = False

highlight_language = "none"

html_theme = "furo"
html_title = "brainleaks"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_math_renderer = "mathml"
html_theme_options = {
    "top_of_page_buttons": [],
    "light_css_variables": {"color-brand-primary": "#9b2c1f", "color-brand-content": "#9b2c1f"},
    "dark_css_variables": {"color-brand-primary": "#f08a7a", "color-brand-content": "#f08a7a"},
}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
toc_object_entries_show_parents = "hide"

_log = logging.getLogger(__name__)
_ANNOTATED = re.compile(r"~?(?:\w+\.)*Annotated\[")
_to_mathml = LatexToMathML(fancy_error=False)


def setup(app: Sphinx) -> None:
    """Register what the settings above name."""
    # MathML is drawn by the browser: no script, no fonts, no request to anyone
    app.add_html_math_renderer("mathml", (_inline_math, None), (_block_math, None))
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-skip-member", _skip)


def _inline_math(writer: Any, node: nodes.math) -> None:
    writer.body.append(_mathml(node, displaystyle=False))
    raise nodes.SkipNode


def _block_math(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="math">{_mathml(node, displaystyle=True)}</div>')
    raise nodes.SkipNode


def _mathml(node: nodes.Element, *, displaystyle: bool) -> str:
    try:
        return _to_mathml.convert_with_local_state(node.astext(), displaystyle=displaystyle)
    except LatexError as error:
        _log.warning("math: %s", error, location=node)
        return ""


def _signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str, returns: str
) -> tuple[str, str]:
    """``Annotated[int, Ge(ge=1)]`` as ``int``: what a value means is in the docstring."""
    if getattr(obj, "_is_protocol", False):
        return "", ""
    while signature and (found := _ANNOTATED.search(signature)):
        comma, bracket = _ends(signature, found.end())
        kept = signature[found.end() : comma]
        signature = signature[: found.start()] + kept + signature[bracket + 1 :]
    return signature, returns


def _ends(text: str, start: int) -> tuple[int, int]:
    """Where the first item ends of a bracket that opens before ``start``, and the bracket."""
    depth, quote, comma = 0, "", 0
    for i, letter in enumerate(text[start:], start):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            if not depth:
                return comma or i, i
            depth -= 1
        elif letter == "," and not depth and not comma:
            comma = i
    raise ValueError(f"no bracket closes in {text}")


def _skip(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what a named tuple says of its own fields."""
    return True if (getattr(obj, "__doc__", None) or "").startswith("Alias for field") else None
