from __future__ import annotations

from collections.abc import Iterator, Mapping

from markupsafe import Markup

from ritz.compute.document import Json
from ritz.storage.store import Store
from ritz.tasks.catalogue.addresses import dataset_page, model_page, up
from ritz.tasks.catalogue.contents import CataloguedModel, Contents
from ritz.tasks.catalogue.page import PageSection, page, rights
from ritz.tasks.catalogue.sections import OF_MODEL
from ritz.tasks.catalogue.snippets import load_model, open_plainly
from ritz.tasks.documents import of_model
from ritz.tasks.documents.card import Variable
from ritz.tasks.documents.verdict import RELEASES
from ritz.tasks.report.headline import headline
from ritz.tasks.report.html import code, heading, joined, link, paragraph, table
from ritz.tasks.report.material import Material, RunFacts
from ritz.tasks.report.recorded import Recorded
from ritz.tasks.report.section import drawn, written
from ritz.tasks.report.wording import MISSING, number

KEYS = ("error", "gain", "coverage", "residual", "time")
"""The numbers at the head of the page; see `ritz.tasks.report.headline.KEYS`."""

ALONE = ("error", "gain", "coverage", "fields")
"""Those of a model that no run made."""


def rendered(contents: Contents, model: CataloguedModel, material: Material, why: str) -> bytes:
    """Return the page of a version of a model.

    Parameters
    ----------
    why
        In words why no predictions are shown; empty where they are.
    """
    entry, card = model.entry, model.card
    address = model_page(entry.name, entry.version)
    facts = RunFacts(Recorded.of(recorded(contents.store, model)), material)
    links = [(section.name, section.link) for section in OF_MODEL if section.link]
    head = headline(facts, ALONE if model.run is None else KEYS)
    sections = (
        PageSection("use", "Use", "Use", _use(contents, model)),
        PageSection("lineage", "Lineage", "Lineage", _lineage(contents, model, up(address))),
        PageSection("variables", "Inputs and outputs", "Inputs and outputs", _variables(model)),
        (written(OF_MODEL, facts, drawn(OF_MODEL, facts)), links),
    )
    return page(
        address,
        "Model",
        entry.spec,
        sentences=[model.imprint.description, facts_line(model), *card.missed],
        small=[
            rights(model.imprint),
            f"No predictions are shown: {why}" if why else "",
            f"Made {model.run.created} in run {model.run.run}." if model.run is not None else "",
        ],
        keys=head["keys"],
        sections=sections,
    )


def facts_line(model: CataloguedModel) -> str:
    """Return what is worth knowing of a model in a line."""
    row, training = model.row, model.card.training
    error = "not evaluated" if row.relative_l2 is None else f"mean relative L2 error {number(row.relative_l2)}"
    return (
        f"{row.surrogate} with {number(training.parameters)} parameters, trained {row.mode} on {row.dataset} in "
        f"{number(row.steps)} steps; {error}; {RELEASES[row.release]}."
    )


def recorded(store: Store, model: CataloguedModel) -> Json:
    """Return what a run record says of a model, with what was measured of it since."""
    spec = model.entry.spec
    evaluation, calibration = of_model.evaluation(store, spec), of_model.calibration(store, spec)
    kept: dict[str, object] = {} if model.run is None else model.run.document()
    kept |= {
        "recipe": model.card.recipe,
        "model": {
            **(model.run.model.document() if model.run is not None else {}),
            "name": model.entry.name,
            "version": model.entry.version,
        },
    }
    its = model.card.document()
    measured = {name: its[name] for name in ("cost", "break_even") if isinstance(its.get(name), Mapping)}
    if evaluation is not None:
        document = evaluation.document()
        measured |= {name: document.get(name) for name in ("metrics", "baselines")}
    if calibration is not None:
        document = calibration.document()
        measured |= {name: document.get(name) for name in ("coverage", "ranking", "shifted")}
        measured["bar_seconds"] = document.get("seconds")
    return kept | measured


def _use(contents: Contents, model: CataloguedModel) -> Markup:
    store, source = contents.store, model.card.dataset
    return joined(
        heading("With Ritz"),
        code(load_model(store, model.entry.spec, source.spec)),
        heading("Its data, with icechunk and xarray alone"),
        code(open_plainly(store, source.name, source.version)),
    )


def _lineage(contents: Contents, model: CataloguedModel, up: str) -> Markup:
    source = model.card.dataset
    there = contents.dataset(source.name)
    name: str | Markup = source.spec if there is None else link(up + dataset_page(source.name), source.spec)
    rows = [
        ("dataset", name),
        ("snapshot", source.snapshot),
        ("problem", str(model.card.recipe["problem"]["kind"])),
        ("training", model.row.mode),
        ("run", model.card.run or "trained by itself"),
        ("break-even", model.row.break_even),
    ]
    gone = paragraph(f"The dataset {source.spec} has no page.", "missing") if there is None else Markup()
    return joined(table("What made it.", rows, kind="narrow", text=True), gone)


def _variables(model: CataloguedModel) -> Markup:
    rows = [*_rows("input", model.card.inputs), *_rows("output", model.card.outputs)]
    head = ("name", "role", "meaning", "units", "dimensions", "type")
    return table("Fields in physical units.", rows, head, text=True)


def _rows(role: str, variables: Mapping[str, Variable]) -> Iterator[tuple[str, ...]]:
    for name, one in variables.items():
        units, meaning = (one.attrs.get(attr) or MISSING for attr in ("units", "long_name"))
        yield name, role, meaning, units, ", ".join(one.dims) or MISSING, one.dtype
