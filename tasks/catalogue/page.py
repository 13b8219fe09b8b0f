"""The form of a page of the catalogue: a head with facts and numbers, and sections."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from ritz.tasks.catalogue.addresses import up
from ritz.tasks.imprint import Imprint
from ritz.tasks.report.headline import Key
from ritz.tasks.report.html import joined, link, section
from ritz.tasks.report.page import template

FOLDER = Path(__file__).parent
"""Of the templates."""

_MAIL = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_URL = re.compile(r"https://[A-Za-z0-9.-]+(/[A-Za-z0-9._~/%+-]*)?")


@dataclass(frozen=True)
class PageSection:
    """A section: its id, its heading, what the navigation calls it, and what it says."""

    name: str
    title: str
    link: str
    body: Markup

    def html(self) -> Markup:
        """Return the whole section."""
        return section(self.name, self.title, self.body)


def page(
    address: str,
    kind: str,
    title: str,
    *,
    sentences: Sequence[str],
    small: Sequence[str],
    keys: Sequence[Key],
    sections: Sequence[PageSection | tuple[Markup, Sequence[tuple[str, str]]]],
) -> bytes:
    """Return a page: one HTML file with its pictures, UTF-8, without scripts; it loads nothing.

    Parameters
    ----------
    address
        Where it lies, relative to the folder of the catalogue.
    sections
        In their order: parts of this page, or sections of a report with their ids and names in the navigation.
    """
    links: list[tuple[str, str]] = []
    bodies: list[Markup] = []
    for one in sections:
        if isinstance(one, PageSection):
            links.append((one.name, one.link))
            bodies.append(one.html())
        else:
            bodies.append(one[0])
            links += one[1]
    text = template("page.html.jinja", FOLDER).render(
        kind=kind, title=title, sentences=[*filter(None, sentences)], small=[*filter(None, small)], keys=keys,
        up=up(address), links=links, sections=joined(*bodies),
    )  # fmt: skip
    return text.encode()


def rights(imprint: Imprint) -> Markup:
    """Return licence, contact, citation and address; only a mail address or a plain https URL is a link."""
    told = (
        ("Licence", imprint.licence or "not stated"),
        ("Contact", imprint.contact),
        ("Cite", imprint.citation),
        ("From", imprint.url),
    )
    return Markup(" ").join(Markup("{}: {}.").format(name, _linked(text)) for name, text in told if text)


def is_url(text: str) -> bool:
    """Return whether a text is an https URL of plain characters, which may be a link."""
    return _URL.fullmatch(text) is not None


def _linked(text: str) -> str | Markup:
    if is_url(text):
        return link(text, text)
    return link(f"mailto:{text}", text) if _MAIL.fullmatch(text) else text
