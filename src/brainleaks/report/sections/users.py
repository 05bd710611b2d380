"""User-level membership: every attack, its interval over users, and what chance gives."""

from brainleaks.report.run import Run
from brainleaks.report.sections.section import Section
from brainleaks.report.template import fragment

KIND = "user-membership"


def section(run: Run) -> Section:
    """The section of a run that tested user-level membership."""
    found = run.results["evidence"][KIND]
    attacks = found.get("attacks", {})
    ranked = sorted(attacks, key=lambda name: attacks[name]["auc"]["value"], reverse=True)
    claims = [claim for claim in run.results["verdict"]["claims"] if claim["kind"] == KIND]
    html = fragment("users.html.j2", found=found, ranked=ranked, claims=claims)
    return Section({KIND: "Users"}, html)
