"""What every section of a page keeps: those of a run, of a comparison and of the catalogue."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from markupsafe import Markup

import ritz.tasks.report.sections as package
from ritz.tasks.catalogue.sections import OWN as CATALOGUE
from ritz.tasks.comparison.comparison_record import ComparisonRecord
from ritz.tasks.comparison.sections import SECTIONS as COMPARISON
from ritz.tasks.report.compared import Compared
from ritz.tasks.report.html import Pictures, paragraph
from ritz.tasks.report.material import Material, RunFacts
from ritz.tasks.report.page import SECTIONS
from ritz.tasks.report.recorded import Recorded
from ritz.tasks.report.section import Section, asked, drawn, in_order, is_there, written
from tests.tasks.reported import make_comparison, make_material, make_record

LISTED: tuple[Section[Any], ...] = (*SECTIONS, *COMPARISON, *CATALOGUE)

each = pytest.mark.parametrize("section", LISTED, ids=lambda section: type(section).__name__)


def facts_for(section: Section[Any], *, without: tuple[str, ...] = (), only: tuple[str, ...] | None = None) -> Any:
    """Return the facts of the section's page, some parts of which were not measured."""
    if section in COMPARISON:
        record = make_comparison()
        kept = {name: part for name, part in record.entries().items() if only is None or name in only}
        some = {name: part for name, part in kept.items() if name not in without}
        return Compared(ComparisonRecord.model_construct(**some))
    whole = RunFacts(Recorded.of(make_record()), make_material((12, 16)))
    blank = RunFacts(Recorded(), Material())
    parts: list[Any] = []
    for full, empty in ((whole.recorded, blank.recorded), (whole.material, blank.material)):
        names = [field.name for field in dataclasses.fields(full)]
        gone = [name for name in names if name in without or (only is not None and name not in only)]
        parts.append(dataclasses.replace(full, **{name: getattr(empty, name) for name in gone}))
    return RunFacts(*parts)


def classes() -> Iterator[type[Section[Any]]]:
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        for _, found in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(found, Section) and found is not Section and found.__module__ == module.name:
                yield found


def test_every_section_is_listed_once() -> None:
    assert Counter(map(type, LISTED)) == Counter(classes())


@pytest.mark.parametrize("page", [SECTIONS, COMPARISON], ids=["run", "comparison"])
def test_a_page_has_one_place_and_name_for_each(page: tuple[Section[Any], ...]) -> None:
    assert len({section.name for section in page}) == len({(one.under, one.place) for one in page}) == len(page)
    top = {section.name for section in page if not section.under}
    assert all(section.under in top for section in page if section.under)
    assert all(section.title for section in page if not section.under)
    assert all(not section.link for section in page if section.under)
    names = Counter(name for section in page for name in section.figures(facts_for(section)))
    assert set(names.values()) == {1}
    assert in_order(reversed(page)) == in_order(page)


@each
def test_it_says_what_is_there_and_misses_nothing(section: Section[Any]) -> None:
    facts = facts_for(section)
    # Without dimensions those of the coordinates count.
    assert all(is_there(facts.part(name)) for name in section.needs if name != "dimensions")
    said = written([Alone(section)], facts, drawn([section], facts))
    assert Markup.escape(section.absent) not in said if section.absent else "not measured" not in said
    assert type(section.html(facts, {})) is Markup


@each
def test_it_looks_at_nothing_but_what_it_needs(section: Section[Any]) -> None:
    whole, needed = facts_for(section), facts_for(section, only=section.needs)
    assert section.html(needed, {}) == section.html(whole, {})
    assert list(section.figures(needed)) == list(section.figures(whole))
    for draw in section.figures(needed).values():
        assert draw() is not None


@pytest.mark.parametrize("section", [one for one in SECTIONS if one.needs], ids=lambda section: section.name)
def test_it_leaves_one_sentence_or_nothing_where_nothing_was_measured(section: Section[Any]) -> None:
    facts = facts_for(section, without=section.needs)
    assert not asked(section, facts) or not section.html(facts, {})
    assert not drawn([section], facts)
    rest = written([Alone(section)], facts, {})
    assert rest == written([Alone(section)], facts_for(section, only=()), {})
    assert rest.striptags() == f"{section.title} {section.absent}".strip()


@each
def test_its_figures_fit(section: Section[Any]) -> None:
    for name, draw in section.figures(facts_for(section)).items():
        figure = draw()
        assert figure is not None
        engine = figure.get_layout_engine()
        if engine is not None:
            engine.execute(figure)
        drawn_in, width, height = figure.get_tightbbox(), *figure.get_size_inches()
        assert min(drawn_in.x0, drawn_in.y0, width - drawn_in.x1, height - drawn_in.y1) > -0.02, (name, drawn_in)


class Alone(Section[Any]):
    """A section as the only one of its page."""

    place = 0

    def __init__(self, section: Section[Any]) -> None:
        self.section = section
        self.name, self.title = section.name, section.title  # type: ignore[misc]

    def html(self, facts: Any, pictures: Pictures) -> Markup:
        said = self.section.html(facts, pictures) if asked(self.section, facts) else Markup()
        return said or self.section.otherwise()


class Own(Section[RunFacts]):
    name = "own"
    title = "A method of one's own"
    place = 25
    needs = ("metrics",)

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        assert not pictures
        return paragraph(f"{len(facts.recorded.metrics)} measures, 1 < 2")


def test_one_more_section_is_one_more_object() -> None:
    facts = RunFacts(Recorded.of(make_record()), Material())
    page = written(in_order((Own(), *SECTIONS)), facts, {})
    own = '<section id="own">\n<h2>A method of one&#39;s own</h2>\n<p>4 measures, 1 &lt; 2</p>\n</section>'
    assert page.index('id="training"') < page.index(own) < page.index('id="errors"')
    assert '<section id="own">\n<h2>A method of one&#39;s own</h2>\n\n</section>' in written(
        [Own()], RunFacts(Recorded(), Material()), {}
    )
