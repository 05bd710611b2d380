"""Recovered batches: every private sample beside what the attack made of the gradient."""

from typing import Any

from brainleaks.report.images import still_uris
from brainleaks.report.recovered import file
from brainleaks.report.run import Run
from brainleaks.report.sections.section import Section
from brainleaks.report.template import fragment

KIND = "recovered-batch"
#: Samples of the first batch that are shown.
_SHOWN = 16
#: Characters of the page for their pictures.
_BUDGET = 600_000


def section(run: Run) -> Section:
    """The section of a run that attacked training steps."""
    found = run.results["evidence"][KIND]
    attacks = found["attacks"]
    ranked = sorted(attacks, key=lambda n: attacks[n]["measures"]["reidentified"]["value"])[::-1]
    claims = [claim for claim in run.results["verdict"]["claims"] if claim["kind"] == KIND]
    html = fragment(
        "recovered-batch.html.j2",
        found=found,
        ranked=ranked,
        claims=claims,
        shown=_shown(run, ranked[0], found["batch_size"]) if ranked else [],
    )
    return Section({KIND: "Training step"}, html)


def _shown(run: Run, attack: str, batch_size: int) -> list[dict[str, Any]]:
    """Pairs of pictures: the private sample, and what was recovered of it."""
    pictures = run.samples(file(attack), 2 * batch_size)
    count = min(batch_size, _SHOWN)
    uris = still_uris(pictures[:count] + pictures[batch_size : batch_size + count], _BUDGET)
    return [{"private": uris[i], "recovered": uris[count + i]} for i in range(count)]
