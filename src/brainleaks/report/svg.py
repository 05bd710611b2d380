"""Charts as SVG for a page: text stays text, and every colour is one of the page's.

Matplotlib draws them in stand-ins for colours, which become CSS variables, so that the same chart
is read on light and dark screens and on paper.
"""

import io
import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

from brainleaks.report.metrics import progress

_INK, _SOFT, _LINE = "#000001", "#000002", "#000003"
_SERIES = ("#000004", "#000005", "#000006", "#000007")
_VARIABLES = {
    _INK: "var(--ink)",
    _SOFT: "var(--soft)",
    _LINE: "var(--line)",
    **{colour: f"var(--series-{i})" for i, colour in enumerate(_SERIES, 1)},
}
#: So many classes are named beside a confusion matrix at most; of more, every second or third.
_MOST_NAMES = 50
#: The confusion matrix is a picture, whose colour must do on light and dark.
_MATRIX_COLOUR = (0.18, 0.49, 0.82)
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "font.size": 9,
    "text.parse_math": False,
    "text.color": _INK,
    "axes.edgecolor": _SOFT,
    "axes.labelcolor": _SOFT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
}
_PIXELS_A_POINT = 96 / 72
#: Labels of so many characters leave room for what is drawn; each further one takes some inches.
_SHORT, _CHARACTER = 18, 0.07
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))

Kind = Literal["attack", "negative", "positive"]
_OF_KIND = {"attack": _SERIES[0], "negative": _SOFT, "positive": _SERIES[2]}


class Strip(NamedTuple):
    """One line of :func:`strips`: values of the classes, their mean and its interval."""

    label: str
    kind: Kind
    values: Sequence[float | None]
    mean: float | None
    low: float | None
    high: float | None


def strips(rows: Sequence[Strip], *, axis: str, name: str, text: str) -> Markup:
    """Distributions one below another: a dot a class, and the mean with its interval.

    Args:
        rows: from the top.
        axis: what the values are.
        name: sets this chart apart from the others of a page; a word.
        text: what it shows, for those who do not see it.
    """
    longest = max(len(line) for row in rows for line in row.label.splitlines())
    width = 4.2 + _CHARACTER * max(0, longest - _SHORT)
    with rc_context(_SETTINGS):
        figure = Figure(figsize=(width, 0.75 + 0.36 * len(rows)), layout="constrained")
        axes = figure.subplots()
        for y, row in enumerate(rows):
            colour = _OF_KIND[row.kind]
            values = np.array([np.nan if v is None else v for v in row.values], np.float64)
            axes.scatter(values, y + _spread(len(values)), 11, colour, alpha=0.45, linewidths=0)
            if row.mean is not None:
                axes.plot(
                    np.array([row.low, row.high], np.float64), [y, y], color=colour, linewidth=2.4
                )
                axes.plot([row.mean] * 2, [y - 0.26, y + 0.26], color=colour, linewidth=2.4)
        axes.set_yticks(range(len(rows)), [row.label for row in rows])
        axes.set_ylim(len(rows) - 0.45, -0.55)
        axes.set_xlabel(axis)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        return _svg(figure, name, text)


def scatter(x: ArrayLike, y: ArrayLike, *, axes: tuple[str, str], name: str, text: str) -> Markup:
    """A dot a class, and the line on which both values are the same; others as :func:`strips`."""
    first, second = np.asarray(x, np.float64), np.asarray(y, np.float64)
    with rc_context(_SETTINGS):
        figure = Figure(figsize=(3.4, 3.2), layout="constrained")
        plot = figure.subplots()
        shown = np.concatenate([first, second])
        shown = shown[np.isfinite(shown)]
        ends = (shown.min(), shown.max()) if len(shown) else (0.0, 1.0)
        margin = 0.06 * (ends[1] - ends[0]) or 0.05
        limits = (ends[0] - margin, ends[1] + margin)
        plot.plot(limits, limits, color=_SOFT, linewidth=1, linestyle=(0, (4, 3)))
        plot.scatter(first, second, 22, _SERIES[0], alpha=0.75, linewidths=0)
        plot.set(xlim=limits, ylim=limits, xlabel=axes[0], ylabel=axes[1], aspect="equal")
        return _svg(figure, name, text)


def curve(steps: Sequence[dict[str, float]], *, unit: str, name: str, text: str) -> Markup:
    """How a training or an attack fared, one plot a quantity; others as :func:`strips`."""
    unit, places, quantities = progress(steps, unit)
    style: dict[str, Any] = {"linewidth": 1.8, "marker": "o" if len(places) <= 30 else ""}
    with rc_context(_SETTINGS):
        size = (3.2, 0.7 + 1.4 * len(quantities))
        figure = Figure(figsize=size, layout="constrained")
        plots = figure.subplots(len(quantities), sharex=True, squeeze=False)[:, 0]
        for plot, (key, values), colour in zip(plots, quantities.items(), _SERIES, strict=False):
            plot.plot(places, values, color=colour, markersize=3.5, **style)
            plot.set_ylabel(key)
        plots[-1].set_xlabel(unit)
        plots[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        return _svg(figure, name, text)


class Roc(NamedTuple):
    """One curve of :func:`rocs`: points ``(FPR, TPR)``."""

    label: str
    points: Sequence[Sequence[float]]


def rocs(curves: Sequence[Roc], *, least: float, name: str, text: str) -> Markup:
    """ROC curves on logarithmic axes, from the rate ``least``; others as :func:`strips`."""
    with rc_context(_SETTINGS):
        figure = Figure(figsize=(4.6, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.plot([least, 1], [least, 1], color=_SOFT, linewidth=1, linestyle=(0, (4, 3)))
        for (label, points), colour in zip(curves, _SERIES, strict=False):
            x, y = np.array(points, np.float64).T
            axes.step(x, y, color=colour, linewidth=1.8, where="post", label=label)
        axes.set(xscale="log", yscale="log", xlim=(least, 1), ylim=(least, 1.05))
        axes.set(xlabel="false-positive rate", ylabel="true-positive rate")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.legend(loc="lower right")
        return _svg(figure, name, text)


def matrix(values: ArrayLike, classes: Sequence[str], *, name: str, text: str) -> Markup:
    """Confidences ``(C, C)`` in [0, 1], row by the class meant; others as :func:`strips`."""
    shares = np.asarray(values, np.float64).clip(0, 1)
    few = len(classes) <= 12
    size = 9 if few else 6
    labels = max(map(len, classes)) * size / 130
    with rc_context({**_SETTINGS, "axes.grid": False}):
        side = 3.3 if few else 5.2
        figure = Figure(figsize=(side + labels, side + labels), layout="constrained")
        axes = figure.subplots()
        axes.imshow(_tinted(shares), interpolation="none")
        some = range(0, len(classes), -(-len(classes) // _MOST_NAMES))
        axes.set_xticks(some, [classes[i] for i in some], fontsize=size)
        axes.set_yticks(some, [classes[i] for i in some], fontsize=size)
        axes.tick_params("x", rotation=90 if labels > 0.8 * side / len(classes) else 0)
        axes.set(xlabel="taken for", ylabel="made for")
        axes.spines[:].set_visible(True)
        axes.spines[:].set_color(_LINE)
        return _svg(figure, name, text)


def _tinted(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """One colour, the more opaque the larger the share."""
    colours = np.broadcast_to(_MATRIX_COLOUR, (*shares.shape, 3))
    return np.concatenate([colours, shares[..., None]], -1)


def _spread(count: int) -> NDArray[np.float64]:
    """Places across a line that keep neighbours apart, the same each time."""
    golden = (np.sqrt(5) - 1) / 2
    spread: NDArray[np.float64] = ((np.arange(count) * golden) % 1 - 0.5) * 0.46
    return spread


def _svg(figure: Figure, name: str, text: str) -> Markup:
    """The figure for use inside of HTML: named, without identifiers that could clash."""
    buffer = io.StringIO()
    with rc_context({**_SETTINGS, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata=_NO_METADATA)
    drawn = buffer.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    drawn = _identified(drawn.replace("xlink:href", "href"), name)
    for stand_in, variable in _VARIABLES.items():
        drawn = drawn.replace(stand_in, variable)
    drawn = re.sub(r"font: (\d+(?:\.\d+)?)px [^;\"]*", r"font-size: \1px", drawn)
    width, height = (float(v) for v in figure.get_size_inches() * 72)
    opening = (
        f'<svg class="chart" role="img" aria-label="{Markup.escape(text)}" '
        f'viewBox="0 0 {width:g} {height:g}" style="max-width: {width * _PIXELS_A_POINT:.0f}px">'
    )
    return Markup(opening + re.sub(r"\s*\n\s*", "\n", drawn[drawn.index(">") + 1 :]))  # noqa: S704


def _identified(drawn: str, name: str) -> str:
    """Keep the identifiers that are referred to, each with the chart's name before it."""
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', drawn))
    drawn = re.sub(
        r' id="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", drawn
    )
    return re.sub(r'href="#|url\(#', lambda m: f"{m[0]}{name}-", drawn)
