"""The documentation site: `make docs` builds it into docs/_build/html."""

import inspect
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import click
from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from brainleaks.cli import cli

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
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
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
    app.connect("build-finished", _accessible)
    app.add_directive("brainleaks-commands", Commands)


#: What Sphinx and Furo leave out of their HTML: what scrolls is reached by the keyboard, landmarks
#: and headings say what they are.
_MENDED = {
    "<p><img": '<p tabindex="0"><img',
    "<pre>": '<pre tabindex="0">',
    '<div class="math">': '<div class="math" tabindex="0">',
    '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
    'role="heading">': 'role="heading" aria-level="2">',
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="All pages">',
    '<aside class="toc-drawer">': '<aside class="toc-drawer" aria-label="On this page">',
}
#: The parameters of a long signature: a list of definitions without terms.
_PARAMETERS = re.compile(r'<dl>\n((?:<dd><em class="sig-param">.*?</dd>\n)+)</dl>', re.DOTALL)


def _accessible(app: Sphinx, failure: Exception | None) -> None:
    """Mend the pages once they are written."""
    if failure is not None or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        for found, mended in _MENDED.items():
            text = text.replace(found, mended)
        path.write_text(_PARAMETERS.sub(_as_lines, text), encoding="utf-8")


def _as_lines(found: re.Match[str]) -> str:
    lines = found[1].replace("<dd>", "<div>").replace("</dd>", "</div>")
    return f'<div class="sig-lines">\n{lines}</div>'


class Commands(SphinxDirective):
    """Every command with its options, from what ``--help`` shows."""

    def run(self) -> list[nodes.Node]:
        return [_command(command, f"brainleaks {name}") for name, command in _commands(cli)]


def _commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _command(command: click.Command, name: str) -> nodes.section:
    context = click.Context(command, info_name=name)
    found = nodes.section(ids=[nodes.make_id(name)])
    found += nodes.title(text=name)
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        found += _paragraph(paragraph)
    usage = command.get_usage(context).removeprefix("Usage: ")
    found += nodes.literal_block(text=" ".join(usage.split()))
    options = nodes.definition_list()
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and record[1]:
            term = nodes.term("", "", nodes.literal(text=record[0]))
            said = nodes.definition("", _paragraph(record[1]))
            options += nodes.definition_list_item("", term, said)
    found += options
    return found


def _paragraph(text: str) -> nodes.paragraph:
    """The text with its options as code, so that no typography touches their dashes."""
    found = nodes.paragraph()
    for i, part in enumerate(re.split(r"(--[a-z][a-z-]*)", " ".join(text.split()))):
        found += nodes.literal(text=part) if i % 2 else nodes.Text(part)
    return found


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
