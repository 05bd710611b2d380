"""Audits: from a user's own model and data to a study, its run and its report."""

from brainleaks.audit.infer import Inputs
from brainleaks.audit.interface import audit
from brainleaks.audit.steps import Plan, plan, run, run_twin, within, write

__all__ = ["Inputs", "Plan", "audit", "plan", "run", "run_twin", "within", "write"]
