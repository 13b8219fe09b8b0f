from __future__ import annotations

from ritz.tasks.report.sections.costs import BreakEven, Costs, ModelCosts
from ritz.tasks.report.sections.coverage.cells import Cells
from ritz.tasks.report.sections.coverage.cut import Cut
from ritz.tasks.report.sections.coverage.levels import Coverage
from ritz.tasks.report.sections.coverage.parts import Parts
from ritz.tasks.report.sections.coverage.promise import Promise
from ritz.tasks.report.sections.coverage.times import OverTime
from ritz.tasks.report.sections.errors import Baselines, Distribution, Errors, Measures
from ritz.tasks.report.sections.films import Films
from ritz.tasks.report.sections.population import Population
from ritz.tasks.report.sections.rollouts import Rollouts, Spectra
from ritz.tasks.report.sections.samples import Samples
from ritz.tasks.report.sections.truth import Truth, Worst

SAMPLES = (Samples(),)
"""What is shown of single samples."""

ERRORS = (Errors(), Distribution(), Baselines(), Measures(), Truth(), Worst(), Rollouts(), Spectra(), Films())

BARS = (Coverage(), Promise(), Parts(), OverTime(), Cells(), Cut())

POPULATION = (Population(),)

COSTS = (Costs(), BreakEven(), ModelCosts())

SECTIONS = (*SAMPLES, *ERRORS, *BARS, *POPULATION, *COSTS)
"""What a report says of errors, error bars, populations and costs."""
