"""The list of all files that a dataset was imported from, with their digests; it lies beside the dataset."""

from __future__ import annotations

from collections.abc import Sequence

from ritz.compute.document import Document, DocumentPart, Json
from ritz.storage.digests import stamped, unstamped
from ritz.storage.errors import Damaged
from ritz.storage.store import Store


class Item(DocumentPart):
    """Files that hold some samples together: often one, or one for each variable.

    Attributes
    ----------
    files
        Their paths when they were imported.
    digests, bytes, modified
        SHA-256, size, and time of the last change in ns, of each.
    samples
        That they hold.
    """

    files: tuple[str, ...]
    digests: tuple[str, ...]
    bytes: tuple[int, ...]
    modified: tuple[int, ...]
    samples: int


class Manifest(Document):
    """What a dataset was imported from.

    Attributes
    ----------
    origin
        See `ritz.compute.problems.external.External.origin`.
    mapping
        What fixes how files are read, of the `ritz.tasks.importing.mapping.Import`.
    shard
        Samples of a shard.
    items
        In the order of their samples.
    """

    origin: str
    mapping: Json
    shard: int
    items: tuple[Item, ...]

    @property
    def samples(self) -> int:
        """Samples of all items."""
        return sum(item.samples for item in self.items)

    @property
    def files(self) -> list[str]:
        """Paths of all files."""
        return [path for item in self.items for path in item.files]


def key(dataset: str) -> str:
    """Return where the manifest of a dataset lies."""
    return f"imports/{dataset}.json"


def kept(store: Store, dataset: str) -> Manifest | None:
    """Return the manifest of a dataset, None if there is none.

    Raises
    ------
    ritz.storage.errors.Damaged
        If it is not as it was written.
    """
    place = key(dataset)
    if not store.exists(place):
        return None
    where = store.location(place)
    try:
        return Manifest.model_validate(unstamped(where, store.read(place)))
    except ValueError as error:
        raise Damaged(f"{where}: is no list of imported files: {str(error).splitlines()[0]}") from error


def keep(store: Store, dataset: str, manifest: Manifest) -> None:
    """Write the manifest of a dataset, whole or not at all."""
    store.write(key(dataset), stamped(manifest.document()))


def digests(items: Sequence[Item]) -> list[list[str]]:
    """Return the digests of all files, item by item."""
    return [list(item.digests) for item in items]
