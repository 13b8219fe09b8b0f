"""What an import came to, in a table."""

from __future__ import annotations

from ritz.tasks.generation.room import size
from ritz.tasks.importing.result import ImportedDataset


def rows(found: ImportedDataset) -> list[dict[str, str]]:
    """Return what the dataset holds and what was done for it, a row each."""
    dataset = found.dataset
    splits = ", ".join(f"{count} {split}" for split, count in dataset.splits.items() if count)
    table = {
        "samples": f"{dataset.samples:,} ({splits})",
        "imported": f"{found.imported:,} now; {found.failed:,} of all with values that are not finite",
        "files": f"{found.files:,}, {size(found.bytes)}",
    }
    return [{"dataset": name, "": value} for name, value in table.items()]
