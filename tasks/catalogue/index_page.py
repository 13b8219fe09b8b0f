from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence

from markupsafe import Markup

from ritz.tasks.catalogue.addresses import dataset_page, model_page
from ritz.tasks.catalogue.contents import CataloguedDataset, CataloguedModel, Contents
from ritz.tasks.catalogue.page import FOLDER
from ritz.tasks.documents.verdict import RELEASES
from ritz.tasks.report.html import joined, link, paragraph, section
from ritz.tasks.report.page import template
from ritz.tasks.report.wording import MISSING, duration, number

SCRIPT = "search.js"
"""What hides the rows that are not searched for; the page works without it."""

NUMBERS = ("samples", "worst residual", "solver time per sample", "relative L2")
"""Columns of numbers, whose ends stand below each other."""


def rendered(contents: Contents, title: str) -> bytes:
    """Return the first page of a catalogue: every dataset and model in a row, and a search over the rows.

    All rows are in the page, so that it works from a folder. The policy of the page allows the one script in it, by its
    digest, and no other.
    """
    script = (FOLDER / SCRIPT).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    datasets, models = contents.datasets, contents.models
    problems = {one.problem for one in datasets} | {_problem(one) for one in models}
    text = template("index.html.jinja", FOLDER).render(
        title=title,
        store=contents.store.url,
        datasets=_count(len(datasets), "dataset"),
        models=_count(len(models), "model"),
        problems=sorted(problems),
        # It is this package's own, and holds no text of a recipe.
        script=Markup(script),
        digest=digest,
        sections=joined(
            section("datasets", "Datasets", _datasets(datasets)), section("models", "Models", _models(models))
        ),
    )
    return text.encode()


def _count(count: int, what: str) -> str:
    return f"{number(count)} {what}{'' if count == 1 else 's'}"


def _datasets(datasets: Sequence[CataloguedDataset]) -> Markup:
    if not datasets:
        return paragraph("The store has no published dataset.", "missing")
    head = ("dataset", "problem", "samples", "worst residual", "solver time per sample", "licence", "published")
    rows = [
        _row(
            head,
            (
                link(dataset_page(one.name), f"{one.name}@{one.newest.version}"),
                one.problem,
                number(one.newest.samples),
                number(one.ledger["max_residual"]),
                duration(one.seconds_per_sample),
                one.imprint.licence or MISSING,
                one.newest.created[:10],
            ),
            one.problem,
            # The question is about models alone.
            "released",
            one.imprint.description,
        )
        for one in datasets
    ]
    return _table("The newest version of each.", head, rows)


def _models(models: Sequence[CataloguedModel]) -> Markup:
    if not models:
        return paragraph("The store has no model.", "missing")
    head = ("model", "problem", "surrogate", "trained on", "relative L2", "licence", "release")
    rows = [
        _row(
            head,
            (
                link(model_page(one.entry.name, one.entry.version), one.entry.spec),
                _problem(one),
                one.row.surrogate,
                one.row.dataset,
                number(one.row.relative_l2),
                one.imprint.licence or MISSING,
                RELEASES[one.row.release],
            ),
            _problem(one),
            "released" if one.row.release == "released" else "open",
            one.imprint.description,
        )
        for one in models
    ]
    return _table("Mean relative L2 error on the test split.", head, rows)


def _problem(model: CataloguedModel) -> str:
    return str(model.card.recipe["problem"]["kind"])


def _table(caption: str, head: Sequence[str], rows: Iterable[Markup]) -> Markup:
    titles = Markup().join(Markup('<th scope="col"{}>{}</th>').format(_look(title), title) for title in head)
    return Markup(
        '<div class="scroll" tabindex="0" role="group" aria-label="{}"><table>\n<caption>{}</caption>\n'
        "<thead><tr>{}</tr></thead>\n<tbody>\n{}\n</tbody>\n</table></div>"
    ).format(caption, caption, titles, Markup("\n").join(rows))


def _row(head: Sequence[str], cells: Sequence[str], problem: str, release: str, more: str) -> Markup:
    """Return a row with what it is found by."""
    text = " ".join([*(cell.striptags() for cell in map(_escaped, cells)), more]).lower()
    first, *others = cells
    filled = zip(head[1:], others, strict=True)
    return Markup('<tr data-text="{}" data-problem="{}" data-release="{}"><th scope="row">{}</th>{}</tr>').format(
        text,
        problem,
        release,
        first,
        Markup().join(Markup("<td{}>{}</td>").format(_look(title), cell) for title, cell in filled),
    )


def _look(title: str) -> Markup:
    return Markup() if title in NUMBERS else Markup(' class="text"')


def _escaped(cell: str) -> Markup:
    return cell if isinstance(cell, Markup) else Markup.escape(cell)
