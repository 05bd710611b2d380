"""The report: a page and figures, made from a run folder only."""

from brainleaks.report.compare import write_comparison
from brainleaks.report.markdown import verdict_as_markdown
from brainleaks.report.page import picture_rows, write_report
from brainleaks.report.run import Run, read_run

__all__ = [
    "Run",
    "picture_rows",
    "read_run",
    "verdict_as_markdown",
    "write_comparison",
    "write_report",
]
