"""The report: a page and figures, made from a run folder and nothing else."""

from brainleaks.report.page import write_report

__all__ = ["write_report"]
