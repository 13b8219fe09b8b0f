from __future__ import annotations

from ritz.tasks.report.sections.ledger import Ledger
from ritz.tasks.report.sections.panel import Panel
from ritz.tasks.report.sections.solver import Choice
from ritz.tasks.report.sections.tuning import Tuning

SECTIONS = (Choice(), Tuning(), Panel(), Ledger())
"""What a report says of the solving."""
