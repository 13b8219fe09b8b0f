from __future__ import annotations

from ritz.tasks.report.sections.data import Reading
from ritz.tasks.report.sections.recipe import Command, Recipe
from ritz.tasks.report.sections.times import Durations, Times, Versions

SECTIONS = (Times(), Durations(), Versions(), Recipe(), Command(), Reading())
"""What a report says of a run as a whole: how long it took, with what, and how it is made again."""
