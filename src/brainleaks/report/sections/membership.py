"""Membership: the ROC curves, and every attack beside its controls."""

from typing import Any

from brainleaks.errors import printable
from brainleaks.report import svg
from brainleaks.report.charts import word
from brainleaks.report.images import still_uris
from brainleaks.report.run import Run
from brainleaks.report.sections.section import Section
from brainleaks.report.template import fragment

KIND = "membership"
#: The chart distinguishes so many curves.
_DRAWN = 4
#: Characters of the page for the samples' pictures.
_BUDGET = 200_000


def section(run: Run) -> Section:
    """The section of a run that tested membership."""
    found = run.results["evidence"][KIND]
    attacks = found["attacks"]
    ranked = sorted(attacks, key=lambda name: attacks[name]["leak"]["tpr"]["low"], reverse=True)
    claims = [claim for claim in run.results["verdict"]["claims"] if claim["kind"] == KIND]
    html = fragment(
        "membership.html.j2",
        found=found,
        ranked=ranked,
        claims=claims,
        chart=_chart(run, attacks, ranked[:_DRAWN]) if ranked else None,
        exposed=_exposed(run, found.get("exposed", [])),
    )
    return Section({KIND: "Membership"}, html)


def _exposed(run: Run, samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The samples that are found most easily, with their pictures."""
    if not samples:
        return []
    uris = still_uris(run.samples("exposed.safetensors", len(samples)), _BUDGET)
    return [
        {"class": printable(str(one.get("class", ""))), "sample": one["sample"], "uri": uri}
        for one, uri in zip(samples, uris, strict=True)
    ]


def _chart(run: Run, attacks: dict[str, Any], names: list[str]) -> Any:
    curves = [svg.Roc(name, attacks[name]["roc"]) for name in names]
    least = attacks[names[0]]["finest_fpr"]
    said = "; ".join(f"{name}, area {attacks[name]['auc']['value']:.3f}" for name in names)
    text = f"ROC curves on logarithmic axes: {said}."
    return svg.rocs(curves, least=least, name=f"{word(run)}-roc", text=text)
