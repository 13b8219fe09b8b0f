from __future__ import annotations

from markupsafe import Markup

from ritz.tasks.report.html import Pictures, code, joined, paragraph
from ritz.tasks.report.material import RunFacts
from ritz.tasks.report.recorded import Recorded
from ritz.tasks.report.section import Section


class Reading(Section[RunFacts]):
    """How the dataset is read without Ritz."""

    name = "data"
    title = "Reading the data"
    link = "Reading the data"
    place = 90
    needs = ("dataset", "store")
    absent = "Where the dataset lies was not recorded in this run."

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return lines of Python, and what comes of them."""
        lines = reading(facts.recorded)
        if not lines:
            return Markup()
        return joined(
            code(lines),
            paragraph(
                Markup(
                    "<code>data</code> is an <code>xarray.Dataset</code>, read lazily, exactly as this run saw it. "
                    "Good samples have <code>data.status == 1</code>; <code>data.split.attrs</code> and "
                    "<code>data.status.attrs</code> give the meanings of the numbers."
                )
            ),
        )


def reading(recorded: Recorded) -> str:
    """Return a few lines of Python that read the dataset without Ritz; empty where it is not known."""
    dataset, store = recorded.dataset, recorded.store
    if not dataset.get("name") or not dataset.get("version") or not store:
        return ""
    return without_ritz(f"{store}/datasets/{dataset['name']}", str(dataset["version"]))


def without_ritz(location: str, version: str) -> str:
    """Return lines of Python that open a version of a dataset with icechunk and xarray.

    Parameters
    ----------
    location
        Path or URL of the dataset.
    version
        ``"v1"``, or the id of a snapshot.
    """
    state = f"tag={version!r}" if version.startswith("v") else f"snapshot_id={version!r}"
    return (
        "import icechunk, xarray\n"
        'icechunk.set_logs_filter("error")\n'
        f"repository = icechunk.Repository.open({_storage(location)})\n"
        f"data = xarray.open_zarr(repository.readonly_session({state}).store, consolidated=False, chunks=None)\n"
    )


def _storage(location: str) -> str:
    scheme, found, rest = location.partition("://")
    if not found or scheme != "s3":
        return f"icechunk.local_filesystem_storage({location!r})"
    bucket, _, prefix = rest.partition("/")
    return f"icechunk.s3_storage(bucket={bucket!r}, prefix={prefix!r}, from_env=True)"
