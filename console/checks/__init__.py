"""The readiness checks: each asks one question and answers with findings and their evidence."""

from console.checks.check import Check, Outcome
from console.checks.runner import CHECKS, Progress, run

__all__ = ["CHECKS", "Check", "Outcome", "Progress", "run"]
