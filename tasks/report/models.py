"""The page that has several models side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from markupsafe import Markup

from ritz.tasks.documents.evaluation import TruthErrors
from ritz.tasks.report.html import joined, paragraph, table
from ritz.tasks.report.page import template
from ritz.tasks.report.wording import MISSING, number, percent
from ritz.tasks.views.side_by_side import MeanError, SideBySide, columns, short


def models_page(found: SideBySide) -> bytes:
    """Return the page of a comparison of models: one HTML file with everything in it, UTF-8, without scripts."""
    parts = {"errors": ("Errors", _errors(found)), "paired": ("Pair by pair", _paired(found))}
    parts |= {"models": ("Models", _models(found)), "truth": ("Errors of the truth itself", _truth(found.truth))}
    form = Markup('<section id="{}">\n<h2>{}</h2>\n{}\n</section>')
    sections = joined(*(form.format(name, title, body) for name, (title, body) in parts.items()))
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
            "Mean error over the test samples, ± half the interval. All are relative; small is good.",
            [
                (model.model, *(_cell(model.errors.get(kind, {}), part) for kind, part in titles))
                for model in found.models
            ],
            ("model", *titles.values()),
        ),
        *(paragraph(f"No {kind}: {reason}.", "muted") for kind, reason in found.unfit.items()),
    )


def _cell(parts: Mapping[str, MeanError], part: str) -> str:
    return short(parts[part]) if part in parts else MISSING


def _paired(found: SideBySide) -> Markup:
    first, *others = found.models
    rows = []
    for model in others:
        saved = model.paired
        if saved is None:
            rows.append((model.model, *(MISSING,) * 3))
            continue
        interval = f"{percent(saved.mean)} ({percent(saved.low)} to {percent(saved.high)})"
        rows.append((model.model, interval, f"{saved.won} of {saved.pairs}", saved.verdict))
    return table(
        f"Share of the relative L2 error of {first.model} that a model saves, sample by sample: 1 less the geometric "
        "mean of the ratios, with its interval. Negative: it is worse.",
        rows,
        ("model", "saved", "smaller error in", "verdict"),
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
