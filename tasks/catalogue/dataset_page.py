from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from markupsafe import Markup

from ritz.storage.ledger import SPLITS
from ritz.storage.stored import StoredVariable
from ritz.tasks.catalogue.addresses import dataset_page, model_page, up
from ritz.tasks.catalogue.contents import CataloguedDataset, Contents
from ritz.tasks.catalogue.page import PageSection, page, rights
from ritz.tasks.catalogue.sections import OF_DATASET
from ritz.tasks.catalogue.snippets import open_dataset, open_plainly
from ritz.tasks.documents.verdict import RELEASES
from ritz.tasks.generation.room import size
from ritz.tasks.report.headline import Key
from ritz.tasks.report.html import code, heading, joined, link, paragraph, table
from ritz.tasks.report.material import Material, RunFacts
from ritz.tasks.report.recorded import Recorded
from ritz.tasks.report.section import drawn, written
from ritz.tasks.report.sections.recipe import Recipe
from ritz.tasks.report.wording import MISSING, duration, number


def rendered(contents: Contents, dataset: CataloguedDataset, material: Material) -> bytes:
    """Return the page of a dataset."""
    address = dataset_page(dataset.name)
    recorded = Recorded(recipe=dataset.shown.recipe, totals={"rtol": dataset.rtol})
    facts = RunFacts(recorded, material)
    listed = [(one.name, one.link) for one in OF_DATASET if one.link]
    sections = (
        PageSection("use", "Use", "Use", _use(contents, dataset)),
        PageSection("variables", "Variables", "Variables", _variables(dataset.variables)),
        PageSection("versions", "Versions", "Versions", _versions(dataset)),
        PageSection("lineage", "Lineage", "Lineage", _lineage(contents, dataset, up(address))),
        (written(OF_DATASET, facts, drawn(OF_DATASET, facts)), listed),
        PageSection("recipe", "Recipe", "Recipe", Recipe().html(facts, {})),
    )
    newest = dataset.newest
    return page(
        address,
        "Dataset",
        f"{dataset.name}@{newest.version}",
        sentences=[dataset.imprint.description, facts_line(dataset)],
        small=[rights(dataset.imprint), f"Published {newest.created}, snapshot {newest.snapshot}."],
        keys=list(_keys(dataset)),
        sections=sections,
    )


def facts_line(dataset: CataloguedDataset) -> str:
    """Return what is worth knowing of a dataset in a line."""
    newest, failed = dataset.newest, number(dataset.ledger["failed"] or "none")
    room = "" if newest.bytes is None else f", {size(newest.bytes)}"
    if not dataset.solved:
        return (
            f"{number(newest.samples)} imported samples ({splits(newest.splits)}){room}; {failed} with values that "
            "are not finite; no residual is known of them."
        )
    return (
        f"{number(newest.samples)} samples of the problem {dataset.problem} ({splits(newest.splits)}){room}; "
        f"{residual(dataset)}; {failed} failed; {duration(dataset.seconds_per_sample)} of solver time per sample."
    )


def residual(dataset: CataloguedDataset) -> str:
    """Return how exactly a dataset is solved, in words."""
    worst = dataset.ledger["max_residual"]
    return f"true relative residual at most {number(worst)} (asked: {number(dataset.rtol)})"


def splits(counts: Mapping[str, int]) -> str:
    """Return the samples of each split in words, in the order of their ids."""
    ordered = sorted(counts, key=lambda name: SPLITS.index(name) if name in SPLITS else len(SPLITS))
    return ", ".join(f"{number(counts[name])} {name}" for name in ordered)


def _keys(dataset: CataloguedDataset) -> Iterator[Key]:
    newest, rounding = dataset.newest, dataset.rounding_bound
    yield "samples", number(newest.samples), f"Of version {newest.version}: {splits(newest.splits)}."
    added = "" if rounding is None else f" Rounding the stored fields adds up to {number(rounding)}."
    if dataset.solved:
        solvers = ", ".join(f"{name} {number(count)}" for name, count in dataset.ledger["solvers"].items())
        yield (
            "worst residual",
            number(dataset.ledger["max_residual"]),
            f"Largest true relative residual ‖b − Ax‖/‖b‖ of any good sample; {number(dataset.rtol)} was asked.{added}",
        )
        yield (
            "cost per sample",
            duration(dataset.seconds_per_sample),
            f"Solver time; {duration(dataset.ledger['seconds'])} in all. Solved by: {solvers or MISSING}.",
        )
    else:
        files = dataset.shown.recipe["imported"]["count"]
        yield "files", number(files), "Files that the samples were imported from: Ritz has not solved them."
    trained = {model for version in dataset.lineage.versions for model in version.models}
    yield "models", number(len(trained)), "Trained on any version of this dataset."


def _use(contents: Contents, dataset: CataloguedDataset) -> Markup:
    store, version = contents.store, dataset.newest.version
    return joined(
        heading("With Ritz"),
        code(open_dataset(store, dataset.name, version)),
        heading("With icechunk and xarray alone"),
        code(open_plainly(store, dataset.name, version)),
        paragraph(
            "All samples, read lazily; good ones have status 1. The attributes of split and status give the meanings "
            "of their numbers.",
            "muted",
        ),
    )


def _variables(variables: Sequence[StoredVariable]) -> Markup:
    return joined(
        _table("Inputs and outputs.", [one for one in variables if one.role]),
        _table("Coordinates, and what is known of each sample.", [one for one in variables if not one.role]),
    )


def _table(caption: str, variables: Sequence[StoredVariable]) -> Markup:
    rows = [
        (
            one.name,
            one.role or MISSING,
            one.long_name or MISSING,
            one.units or MISSING,
            ", ".join(f"{dim} {points:,}" for dim, points in zip(one.dims, one.shape, strict=False)) or MISSING,
            one.dtype,
            _product(one.chunk),
            _product(one.shard) if one.shard else MISSING,
        )
        for one in variables
    ]
    head = ("name", "role", "meaning", "units", "dimensions", "type", "chunk", "file")
    return table(caption, rows, head, text=True)


def _product(sizes: Sequence[int]) -> str:
    return " × ".join(map(str, sizes)) or MISSING


def _versions(dataset: CataloguedDataset) -> Markup:
    rows = [
        (
            one.version,
            number(one.samples),
            splits(one.splits),
            MISSING if one.bytes is None else size(one.bytes),
            one.created,
            one.snapshot,
        )
        for one in dataset.versions
    ]
    more = len(dataset.shown.versions) - len(rows)
    return joined(
        table(
            "A version never changes.",
            rows,
            ("version", "samples", "splits", "size", "published", "snapshot"),
            text=True,
        ),
        paragraph(f"{number(more)} older ones are not listed.", "muted") if more else Markup(),
    )


def _lineage(contents: Contents, dataset: CataloguedDataset, up: str) -> Markup:
    source = dataset.lineage.recipe
    certified = dataset.shown.recipe.get("certified")
    if certified:
        how = f"Certified samples for the inputs of {certified['file']}, of which the model {certified['model']} had "
        how += f"predicted {number(certified['given'])} (problem {dataset.problem}, tolerance {number(source.rtol)}),"
        how += " by"
    elif dataset.solved:
        how = f"Made of the recipe {source.name} (problem {source.problem['kind']}, seed {source.seed}, tolerance "
        how += f"{number(source.rtol)}) by"
    else:
        how = f"Imported from files such as {dataset.shown.recipe['imported']['files'][0]} with"
    return joined(
        paragraph(f"{how} Ritz {source.ritz_version}. Identity {source.identity}."),
        _trained(contents, dataset, up),
    )


def _trained(contents: Contents, dataset: CataloguedDataset, up: str) -> Markup:
    rows = []
    for version in dataset.lineage.versions:
        for spec in version.models:
            its = contents.model(spec)
            named = version.version or version.snapshot
            if its is None:
                rows.append((spec, named, *[MISSING] * 4))
                continue
            rows.append(
                (
                    link(up + model_page(its.entry.name, its.entry.version), spec),
                    named,
                    its.row.surrogate,
                    its.row.mode,
                    number(its.row.relative_l2),
                    RELEASES[its.row.release],
                )
            )
    if not rows:
        return paragraph("No model of this store was trained on it.", "missing")
    head = ("model", "version of the data", "surrogate", "training", "relative L2", "release")
    return table("Trained on it.", rows, head, text=True)
