"""The page that has several models side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from markupsafe import Markup

from ritz.tasks.documents.evaluation import TruthErrors
from ritz.tasks.report.html import joined, paragraph, section, table
from ritz.tasks.report.page import template
from ritz.tasks.report.wording import MISSING, number, percent
from ritz.tasks.views.measures import unfit
from ritz.tasks.views.side_by_side import MeanError, SideBySide, columns, ratio, short


def models_page(found: SideBySide) -> bytes:
    """Return the page of a comparison of models: one HTML file with everything in it, UTF-8, without scripts."""
    parts = {"errors": ("Errors", _errors(found)), "paired": ("Pair by pair", _paired(found))}
    parts |= {"models": ("Models", _models(found)), "truth": ("Errors of the truth itself", _truth(found.truth))}
    sections = joined(*(section(name, title, body) for name, (title, body) in parts.items()))
    heading = (
        f"{len(found.models)} models on the {number(found.samples)} test samples that all of them were measured on. "
        f"Intervals of {percent(found.level)} are over these samples; another training of the same recipe may differ "
        "by more."
    )
    return template("models.html.jinja").render(found=found, heading=heading, sections=sections).encode()


def _errors(found: SideBySide) -> Markup:
    titles = columns(found)
    return joined(
        table(
            "Mean over the test samples, ± half the interval. Errors are relative, and small is good but where it says "
            "otherwise.",
            [
                (title, *(_cell(model.errors.get(kind, {}), part) for model in found.models))
                for (kind, part), title in titles.items()
            ],
            ("error", *(model.model for model in found.models)),
        ),
        *(paragraph(sentence, "muted") for sentence in unfit(found.unfit)),
    )


def _cell(parts: Mapping[str, MeanError], part: str) -> str:
    return short(parts[part]) if part in parts else MISSING


def _paired(found: SideBySide) -> Markup:
    first, *others = found.models
    rows = [
        (model.model, MISSING, MISSING, MISSING)
        if (paired := model.paired) is None
        else (model.model, ratio(paired), f"{paired.won} of {paired.pairs}", paired.verdict)
        for model in others
    ]
    return table(
        f"Relative L2 error over that of {first.model}, sample by sample: the geometric mean of the ratios, with its "
        "interval. Below 1 a model is better.",
        rows,
        ("model", f"error / {first.model}", "smaller on", "verdict"),
    )


def _models(found: SideBySide) -> Markup:
    return table(
        "What the models are.",
        [
            (
                model.model,
                model.surrogate,
                model.mode,
                number(model.steps),
                number(model.parameters),
                model.evaluated_on,
            )
            for model in found.models
        ],
        ("model", "surrogate", "training", "steps", "parameters", "evaluated on"),
    )


def _truth(errors: TruthErrors | None) -> Markup:
    if errors is None:
        return paragraph("Not measured; see `ritz evaluate`.", "missing")
    return joined(*(paragraph(sentence) for sentence in _sentences(errors)))


def _sentences(errors: TruthErrors) -> Iterator[str]:
    finer, labels = errors.discretisation, errors.labels
    yield (
        f"Mean relative L2 distance of the truth to solutions on a grid twice as fine, with half the time steps, over "
        f"{number(finer.samples)} samples: {number(finer.mean)}. Of models with smaller errors than that it is not "
        "known which is closer to the solution of the PDE."
        if finer.known
        else f"The distance of the truth to a grid twice as fine is not known: {finer.reason}."
    )
    yield (
        f"Mean relative L2 distance of the stored truth to the exact solution of its discrete equations: "
        f"{number(labels.mean)}."
        if labels.known
        else f"The distance of the stored truth to the exact solution of its equations is not known: {labels.reason}."
    )
