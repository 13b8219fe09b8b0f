from __future__ import annotations

from pathlib import Path

from ritz.compute.document import DocumentPart
from ritz.storage.export import export
from ritz.storage.store import Store
from ritz.tasks.driver.progress import Reporter


class Exported(DocumentPart):
    """What was written of a version: how many samples, in which format, where."""

    dataset: str
    version: str
    snapshot: str
    samples: int
    format: str
    path: str


def export_version(store_url: str, spec: str, target: Path, form: str | None, only_ok: bool) -> Exported:
    """Write a version of a dataset as plain Zarr, NetCDF or HDF5; see `ritz.storage.export.export`."""
    report: Reporter | None = None

    def tell(done: int, total: int) -> None:
        nonlocal report
        report = report or Reporter("export", total, spec)
        report(done)

    written = export(Store(store_url), spec, target, form, only_ok, tell)
    return Exported(
        dataset=written.version.name,
        version=written.version.version,
        snapshot=written.version.snapshot,
        samples=written.samples,
        format=written.format,
        path=str(written.path.resolve()),
    )
