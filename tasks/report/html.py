"""The parts that sections are written with; every text is escaped."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup, escape

from ritz.tasks.report.figures.picture import Picture

Pictures = Mapping[str, Picture]
"""What has been drawn, by name."""


def joined(*parts: Markup) -> Markup:
    """Return parts one below the other; empty ones are left out."""
    return Markup("\n").join(part for part in parts if part)


def stacked(*parts: Markup) -> Markup:
    """Return parts one below the other in one column."""
    return Markup("<div>{}</div>").format(joined(*parts))


def section(name: str, title: str, body: Markup) -> Markup:
    """Return a section of a page with its id and heading."""
    return Markup('<section id="{}">\n<h2>{}</h2>\n{}\n</section>').format(name, title, body)


def link(address: str, text: str) -> Markup:
    """Return a link; ``address`` is one that the program has made, never a text of a recipe."""
    return Markup('<a href="{}">{}</a>').format(address, text)


def paragraph(text: str, kind: str = "") -> Markup:
    """Return a paragraph; ``text`` may be `Markup` that holds links or emphasis."""
    return Markup("<p{}>{}</p>").format(_kind(kind), text)


def heading(text: str) -> Markup:
    """Return a heading within a section."""
    return Markup("<h3>{}</h3>").format(text)


def code(text: str) -> Markup:
    """Return lines that are shown as they are."""
    # The keyboard scrolls what is wider than the page.
    return Markup('<pre tabindex="0">{}</pre>').format(text)


def columns(*parts: Markup) -> Markup:
    """Return parts side by side where the page is wide enough."""
    return Markup('<div class="pair">\n{}\n</div>').format(Markup("\n").join(parts))


def table(
    caption: str,
    rows: Iterable[Sequence[str]],
    head: Sequence[str] = (),
    *,
    kind: str = "",
    own: bool = False,
    text: bool = False,
) -> Markup:
    """Return a table; the first entry of a row is its name.

    Parameters
    ----------
    kind
        ``"narrow"`` for few columns, ``"shares"`` for short names.
    own
        The first row stands out.
    text
        All columns but the first are sentences.
    """
    look = Markup(' class="text"') if text else Markup()
    # The keyboard scrolls what is wider than the page.
    opening = Markup('<div class="scroll" tabindex="0" role="group" aria-label="{}"><table{}>\n<caption>{}</caption>')
    parts = [opening.format(caption, _kind(kind), caption)]
    if head:
        first, *others = (
            Markup('<th scope="col"{}>{}</th>').format(look if at else "", n) for at, n in enumerate(head)
        )
        parts.append(Markup("<thead><tr>{}</tr></thead>").format(first + Markup().join(others)))
    parts.append(Markup("<tbody>"))
    for position, (name, *values) in enumerate(rows):
        cells = Markup().join(Markup("<td{}>{}</td>").format(look, value) for value in values)
        row = _kind("own" if own and not position else "")
        parts.append(Markup('<tr{}><th scope="row">{}</th>{}</tr>').format(row, name, cells))
    return joined(*parts, Markup("</tbody>\n</table></div>"))


def picture(pictures: Pictures, name: str, caption: str, *, wide: bool = False) -> Markup:
    """Return a figure with its caption, in the theme of the reader; nothing where it was not drawn."""
    if name not in pictures:
        return Markup()
    scroll = Markup(' tabindex="0" role="group" aria-label="{}"').format(caption) if wide else Markup()
    light, dark = (_address(one) for one in (pictures[name].light, pictures[name].dark))
    return Markup(
        '<figure class="{}">\n<div class="scroll"{}><picture>\n'
        '<source media="screen and (prefers-color-scheme: dark)" srcset="{}">\n'
        '<img src="{}" alt="{}">\n'
        "</picture></div>\n<figcaption>{}</figcaption>\n</figure>"
    ).format("wide" if wide else "half", scroll, dark, light, caption, caption)


def film(pictures: Pictures, name: str, caption: str, frames: Sequence[str], ratio: tuple[int, int]) -> Markup:
    """Return a picture of frames one below the other as a film, without a script; nothing where it was not drawn.

    A group of buttons of which one is chosen shows a frame each, the first plays all; arrow keys go from one to the
    next. It is still until it is played, and has no button for that where the reader wants less motion.

    Parameters
    ----------
    frames
        What each is called, at most `ritz.tasks.report.figures.film.FRAMES`.
    ratio
        Width and height of a frame.
    """
    if name not in pictures:
        return Markup()
    light, dark = (_address(one) for one in (pictures[name].light, pictures[name].dark))
    buttons = Markup("").join(
        Markup('<input type="radio" name="{}" aria-label="{}" title="{}"{}>').format(
            name, frame, frame, Markup("" if at else " checked")
        )
        for at, frame in enumerate(frames)
    )
    return Markup(
        '<figure class="film">\n<div class="reel" role="group" aria-label="{}" style="--frames: {}">'
        '<input type="radio" name="{}" id="{}-play" class="play"><label for="{}-play">play</label>{}\n'
        '<div class="strip" style="aspect-ratio: {} / {}"><picture>\n'
        '<source media="screen and (prefers-color-scheme: dark)" srcset="{}">\n'
        '<img src="{}" alt="{}">\n'
        "</picture></div></div>\n<figcaption>{}</figcaption>\n</figure>"
    ).format(caption, len(frames), name, name, name, buttons, *ratio, dark, light, caption, caption)


def _address(png: bytes) -> Markup:
    """Return a picture as an address that holds all of it; nothing in it has to be escaped."""
    return Markup(f"data:image/png;base64,{base64.b64encode(png).decode()}")


def _kind(name: str) -> Markup:
    return Markup(' class="{}"').format(escape(name)) if name else Markup()
