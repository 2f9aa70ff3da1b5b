"""The readiness checks: each asks one question and answers with findings and their evidence."""

from console.checks.check import Check, Outcome
from console.checks.registry import CHECKS
from console.checks.runner import Progress, run

__all__ = ["CHECKS", "Check", "Outcome", "Progress", "run"]
