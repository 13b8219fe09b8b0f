from __future__ import annotations

from ritz.tasks.comparison.comparison_record import ComparisonRecord
from ritz.tasks.comparison.gains import sentences
from ritz.tasks.comparison.sections import SECTIONS
from ritz.tasks.report.compared import Compared
from ritz.tasks.report.page import template
from ritz.tasks.report.section import drawn, written


def shown(record: ComparisonRecord) -> tuple[dict[str, bytes], bytes]:
    """Return the pictures of a comparison on a white background, PNG by name, and its page.

    The page is one HTML file with everything in it, UTF-8, without scripts.
    """
    facts = Compared(record)
    pictures = drawn(SECTIONS, facts)
    published = ", ".join(f"{value:+.0%} ({name.replace('_', ' ')})" for name, value in record.published.items())
    page = template("comparison.html.jinja").render(
        record=record,
        heading=[f"{sentence[:1].upper()}{sentence[1:]}." for sentence in sentences(record)],
        published_text=published,
        sections=written(SECTIONS, facts, pictures),
    )
    return {name: one.light for name, one in pictures.items()}, page.encode()
