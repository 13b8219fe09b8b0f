from __future__ import annotations

from ritz.tasks.report.sections.compared.conduct import Again, HeldEqual, Seeds, WallTime
from ritz.tasks.report.sections.compared.curves import Curves
from ritz.tasks.report.sections.compared.gains import Gains

SECTIONS = (Gains(), Curves(), HeldEqual(), WallTime(), Seeds(), Again())
"""What the page of a comparison says."""
