"""What an import is to do: the files that a mapping names, held against those that are imported already."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ritz.compute.document import Json
from ritz.storage.datasets import Dataset
from ritz.storage.documents import flat
from ritz.storage.errors import Refused
from ritz.storage.importing.fingerprint import stamp
from ritz.storage.names import dataset_key
from ritz.storage.store import Store
from ritz.storage.wording import shown
from ritz.tasks.errors import RecipeError
from ritz.tasks.importing.manifest import Item, Manifest, kept
from ritz.tasks.importing.mapping import Import
from ritz.tasks.importing.resolving import groups
from ritz.tasks.importing.variables import Patterns


@dataclass(frozen=True)
class Plan:
    """An import to be done.

    Attributes
    ----------
    mapping
        What the user says.
    items
        Paths of the files that are named, those of each item together, in order.
    manifest
        Of what is imported already; None for a new dataset.
    """

    mapping: Import
    items: tuple[tuple[str, ...], ...]
    manifest: Manifest | None


def plan(mapping: Import, folder: Path, store: Store) -> Plan:
    """Find the files of a mapping, and what of them is imported already.

    Parameters
    ----------
    folder
        To which its paths are relative.

    Raises
    ------
    RecipeError
        If a pattern has no file, or variables with files of their own have different numbers of them.
    ritz.storage.errors.Refused
        If the dataset of this name was not imported, or read otherwise.
    """
    columns = {patterns: _found(patterns, folder) for patterns in groups(mapping)}
    counts = {", ".join(patterns): len(paths) for patterns, paths in columns.items()}
    if len(set(counts.values())) > 1:
        raise RecipeError(f"files: {counts} files, expected as many for every variable")
    manifest = _manifest(mapping, store)
    return Plan(mapping, tuple(zip(*columns.values(), strict=True)), manifest)


def fixed(mapping: Import) -> Json:
    """Return what fixes how files are read: all but their names, what is said of them, and the shards."""
    document = mapping.model_dump(mode="json", by_alias=True, exclude={"name", "files", "about"})
    for variable in document["variables"].values():
        del variable["files"]
    del document["data"]["shard"]
    return document


def unchanged(plan: Plan) -> bool:
    """Return whether all files are imported already, by their paths, sizes and times of the last change."""
    if plan.manifest is None:
        return False
    known = {item.files: item for item in plan.manifest.items}
    return all(_same(known.get(paths), paths) for paths in plan.items)


def _same(item: Item | None, paths: tuple[str, ...]) -> bool:
    if item is None:
        return False
    stamps = [stamp(Path(path)) for path in paths]
    return tuple(one.bytes for one in stamps) == item.bytes and tuple(one.changed for one in stamps) == item.modified


def _found(patterns: Patterns, folder: Path) -> list[str]:
    """Return the absolute paths of files, sorted, each once."""
    found: dict[str, None] = {}
    for pattern in patterns:
        these = sorted(_matching(pattern, folder))
        if not these:
            raise RecipeError(f"files: {shown(pattern)} has no file in {folder}, expected at least one")
        found.update(dict.fromkeys(these))
    return list(found)


def _matching(pattern: str, folder: Path) -> Iterator[str]:
    try:
        whole = folder / Path(pattern).expanduser()
    except RuntimeError as error:
        raise RecipeError(f"files: {shown(pattern)}: {error}") from None
    # A name may hold what a pattern would mean.
    places = [whole] if whole.exists() else Path(whole.anchor).glob(str(whole.relative_to(whole.anchor)))
    for path in places:
        is_group = path.is_dir() and any((path / one).exists() for one in ("zarr.json", ".zgroup", "refs", "repo"))
        if path.is_file() or is_group:
            yield str(path.absolute())
        elif path == whole:
            raise RecipeError(f"files: {shown(pattern)} is a folder, expected files, e.g. {shown(pattern + '/*.h5')}")


def _manifest(mapping: Import, store: Store) -> Manifest | None:
    name = mapping.name
    if not store.exists(dataset_key(name)):
        # One without a dataset is of an import that was killed before it had read anything.
        return None
    dataset = Dataset.open(store, name)
    kind = dataset.recipe["problem"].get("kind")
    if kind != "external":
        raise Refused(
            f"dataset {name!r} in {store.url} holds samples of the problem {shown(kind)}, expected one that was "
            f"imported; set another name, e.g. name: {name}-2"
        )
    manifest = kept(store, name)
    if manifest is None:
        raise Refused(
            f"dataset {name!r} in {store.url} came without the list of its files, imports/{name}.json; set another "
            f"name, e.g. name: {name}-2"
        )
    theirs, ours = flat(dict(manifest.mapping)), flat(dict(fixed(mapping)))
    differ = [path for path in sorted({*theirs, *ours}) if theirs.get(path) != ours.get(path)]
    if differ:
        path = differ[0]
        raise Refused(
            f"dataset {name!r} in {store.url} was imported otherwise: {path} was {shown(theirs.get(path))} and is "
            f"{shown(ours.get(path))}; set another name, e.g. name: {name}-2"
        )
    if mapping.data.shard not in (None, manifest.shard):
        raise Refused(
            f"data.shard is {mapping.data.shard}, expected {manifest.shard}, that of dataset {name!r} in {store.url}"
        )
    return manifest
