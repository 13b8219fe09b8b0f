from __future__ import annotations

from pydantic import Field

from ritz.compute.kind import Kind, in_units

NAMES = 20
"""Files of which the recipe has the names; the manifest has them all."""


class Imported(Kind):
    """Where the samples of a dataset come from that Ritz did not solve; `ritz import` writes it."""

    files: tuple[str, ...] = Field(description="Names of the files, the first 20 of them.")
    count: int = Field(gt=0, description="Number of files.", json_schema_extra=in_units("files"))
    bytes: int = Field(ge=0, description="Size of the files.", json_schema_extra=in_units("bytes"))
    manifest: str = Field(
        pattern=r"^imports/[A-Za-z0-9_.-]+\.json$", description="Key of the list of all files in the store."
    )
