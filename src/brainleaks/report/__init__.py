"""The report: a page and figures, made from a run folder and nothing else."""

from brainleaks.report.compare import write_comparison
from brainleaks.report.page import picture_rows, write_report

__all__ = ["picture_rows", "write_comparison", "write_report"]
