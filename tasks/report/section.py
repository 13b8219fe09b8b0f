"""What a page is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from markupsafe import Markup

from ritz.tasks.report import html
from ritz.tasks.report.figures.picture import Picture
from ritz.tasks.report.html import Pictures, columns, heading, joined, paragraph

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[], "Figure | None"]


class Facts(Protocol):
    """What a page is about, in parts that have names."""

    def part(self, name: str) -> Any:
        """Return a part, empty or None where it was not measured."""


F_contra = TypeVar("F_contra", bound=Facts, contravariant=True)


class Section(ABC, Generic[F_contra]):
    """A part of a page: what it needs, what it draws and what it says.

    Attributes
    ----------
    name
        Its id on the page.
    title
        Its heading; without one it goes on under the heading before it. A part that says nothing has none.
    link
        How the navigation calls it; a section without is not in it.
    under
        Name of the section that it is a part of.
    place
        Sections stand in the order of these numbers, the parts of a section in the order of theirs.
    column
        Parts in columns 1 and 2 stand side by side; 0: over the whole width.
    needs
        Parts of the facts that it looks at, and no others. Where none of them is there it is not asked; a section
        that needs nothing always is.
    absent
        The sentence that stands where it has nothing to say; without one it is silent then.
    """

    name: ClassVar[str]
    title: ClassVar[str] = ""
    link: ClassVar[str] = ""
    under: ClassVar[str] = ""
    place: ClassVar[int]
    column: ClassVar[int] = 0
    needs: ClassVar[tuple[str, ...]] = ()
    absent: ClassVar[str] = ""

    def figures(self, facts: F_contra) -> Mapping[str, Draw]:
        """Return what draws each of its figures, or finds that it cannot; no other section has their names."""
        del facts
        return {}

    @abstractmethod
    def html(self, facts: F_contra, pictures: Pictures) -> Markup:
        """Return what it says, without its heading; nothing where what it needs is not there.

        Parameters
        ----------
        pictures
            What has been drawn; a figure of its own may be left out.
        """

    def otherwise(self) -> Markup:
        """Return what stands where `html` returns nothing."""
        return paragraph(self.absent, "missing") if self.absent else Markup()


def in_order(sections: Iterable[Section[F_contra]]) -> tuple[Section[F_contra], ...]:
    """Return sections as they stand on a page, each with its parts after it."""
    listed = tuple(sections)
    places = {section.name: section.place for section in listed}
    return tuple(sorted(listed, key=lambda one: (places[one.under], one.place) if one.under else (one.place, -1)))


def is_there(part: Any) -> bool:
    """Return whether a part of the facts was measured."""
    return len(part) > 0 if hasattr(part, "__len__") else part is not None


def asked(section: Section[F_contra], facts: F_contra) -> bool:
    """Return whether a section finds anything of what it needs."""
    return not section.needs or any(is_there(facts.part(name)) for name in section.needs)


def drawn(sections: Iterable[Section[F_contra]], facts: F_contra) -> dict[str, Picture]:
    """Draw the figures of all sections, in their order; what was not measured is left out."""
    figures: dict[str, Picture] = {}
    for section in sections:
        for name, draw in section.figures(facts).items() if asked(section, facts) else ():
            figure = draw()
            if figure is not None:
                figures[name] = Picture.of(figure)
    return figures


def written(sections: Iterable[Section[F_contra]], facts: F_contra, pictures: Pictures) -> Markup:
    """Return all sections, each in an element of its own with its parts."""
    listed = list(sections)
    elements = []
    for section in (one for one in listed if not one.under):
        parts = [part for part in listed if part.under == section.name]
        body = joined(_said(section, facts, pictures), *_parts(parts, facts, pictures))
        elements.append(html.section(section.name, section.title, body))
    return joined(*elements)


def _parts(parts: Iterable[Section[F_contra]], facts: F_contra, pictures: Pictures) -> Iterable[Markup]:
    for beside, group in groupby(parts, key=lambda part: part.column > 0):
        if not beside:
            yield from (_part(part, facts, pictures) for part in group)
            continue
        sides: dict[int, list[Markup]] = {}
        for part in group:
            sides.setdefault(part.column, []).append(_part(part, facts, pictures))
        yield columns(*(Markup("<div>\n{}\n</div>").format(joined(*side)) for _, side in sorted(sides.items())))


def _part(section: Section[F_contra], facts: F_contra, pictures: Pictures) -> Markup:
    said = _said(section, facts, pictures)
    return joined(heading(section.title) if section.title and said else Markup(), said)


def _said(section: Section[F_contra], facts: F_contra, pictures: Pictures) -> Markup:
    said = section.html(facts, pictures) if asked(section, facts) else Markup()
    return said or section.otherwise()
