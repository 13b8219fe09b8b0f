from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ritz.tasks.generation.sections import SECTIONS as GENERATION
from ritz.tasks.measuring.sections import BARS, COSTS, ERRORS, SAMPLES
from ritz.tasks.measuring.sections import SECTIONS as MEASURING
from ritz.tasks.report.figures.film import FRAMES
from ritz.tasks.report.figures.picture import Picture
from ritz.tasks.report.headline import headline
from ritz.tasks.report.material import Material, RunFacts
from ritz.tasks.report.recorded import Recorded
from ritz.tasks.report.section import Section, drawn, in_order, written
from ritz.tasks.report.sections.data import Reading
from ritz.tasks.report.sections.recipe import Command, Recipe
from ritz.tasks.report.sections.times import Durations, Times, Versions
from ritz.tasks.report.wording import number
from ritz.tasks.training.sections import SECTIONS as TRAINING

if TYPE_CHECKING:
    from jinja2 import Template

RUN = (Times(), Durations(), Versions(), Recipe(), Command(), Reading())
"""What is said of a run as a whole: how long it took, with what, and how it is made again."""

SECTIONS: tuple[Section[RunFacts], ...] = in_order((*GENERATION, *TRAINING, *MEASURING, *RUN))
"""What the stages have to say of a run, and what is said of it as a whole."""


@dataclass(frozen=True)
class Page:
    """A sort of page: what it is called, its sections in their order, and the numbers above them.

    Attributes
    ----------
    keys
        Names of `ritz.tasks.report.headline.KEYS`.
    """

    name: str
    sections: tuple[Section[RunFacts], ...]
    keys: tuple[str, ...]


RUN_PAGE = Page("Ritz run report", SECTIONS, ("error", "gain", "coverage", "residual", "time"))

EVALUATION_PAGE = Page("Ritz evaluation", in_order((*SAMPLES, *ERRORS, *COSTS)), ("error", "gain", "discretisation"))

CALIBRATION_PAGE = Page("Ritz calibration", in_order((*SAMPLES, *BARS)), ("coverage", "fields", "least"))


def pictures(record: Mapping[str, Any], material: Material, page: Page = RUN_PAGE) -> dict[str, Picture]:
    """Draw the figures of a page, by name in their order.

    Parameters
    ----------
    record
        The run record, or as much of one as there is.
    material
        What is drawn and not in the record.

    Returns
    -------
    dict of Picture
        Of a run ``samples`` (and ``samples_2`` … for further outputs), ``training``, ``stream``, ``errors``,
        ``calibration``, ``covered``, ``over_time``, ``cells`` …, ``cut`` …, ``panel``, ``ledger``; without
        those that were not measured.
    """
    return drawn(page.sections, RunFacts(Recorded.of(record), material))


def render(
    record: Mapping[str, Any],
    material: Material,
    figures: Mapping[str, Picture] | None = None,
    page: Page = RUN_PAGE,
) -> bytes:
    """Return a page, by default the report of a run: one HTML file with everything in it, UTF-8.

    It loads nothing from outside and runs no script. Parts of the record that are absent are named as such.

    Parameters
    ----------
    record
        The run record, or as much of one as there is.
    material
        What is drawn and not in the record.
    figures
        The `pictures` of the same page, where they have been drawn already; those left out are not shown.
    """
    facts = RunFacts(Recorded.of(record), material)
    body = written(page.sections, facts, drawn(page.sections, facts) if figures is None else figures)
    links = [(section.name, section.link) for section in page.sections if section.link]
    head = headline(facts, page.keys)
    return template("page.html.jinja").render(head, kind=page.name, links=links, sections=body).encode()


def template(name: str, folder: Path = Path(__file__).parent) -> Template:
    """Return a template of a folder, with ``number`` of the report as a filter; every name it uses must be given.

    Parameters
    ----------
    folder
        Of the template; those of the report are found from anywhere.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([folder, Path(__file__).parent]), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["number"] = number
    environment.globals["film_frames"] = FRAMES
    return environment.get_template(name)
