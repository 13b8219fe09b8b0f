from __future__ import annotations

from ritz.tasks.report.sections.costs import BreakEven, Costs, ModelCosts
from ritz.tasks.report.sections.coverage import Coverage
from ritz.tasks.report.sections.errors import Baselines, Distribution, Errors, Measures
from ritz.tasks.report.sections.samples import Samples
from ritz.tasks.report.sections.truth import Truth, Worst

SECTIONS = (
    Samples(),
    Errors(),
    Distribution(),
    Baselines(),
    Measures(),
    Truth(),
    Worst(),
    Coverage(),
    Costs(),
    BreakEven(),
    ModelCosts(),
)
"""What a report says of errors, error bars and costs."""
