from __future__ import annotations

from ritz.tasks.measuring.sections import BARS, COSTS, ERRORS, SAMPLES
from ritz.tasks.report.section import in_order
from ritz.tasks.report.sections.ledger import Ledger
from ritz.tasks.report.sections.recipe import Recipe
from ritz.tasks.report.sections.solved import Solved
from ritz.tasks.report.sections.training import Training

OWN = (Solved(),)
"""What only the page of a dataset shows."""

OF_DATASET = in_order((*OWN, Ledger()))
"""What a report would say of the samples and how they were solved."""

OF_MODEL = in_order((*SAMPLES, Training(), *ERRORS, *BARS, *COSTS, Recipe()))
"""What a report would say of a model."""
