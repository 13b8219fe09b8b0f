from __future__ import annotations

from ritz.tasks.report.sections.stream import Seen
from ritz.tasks.report.sections.training import Training

SECTIONS = (Training(), Seen())
"""What a report says of the training."""
