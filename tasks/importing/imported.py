from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ritz.compute.kind import Kind, in_units

Line = Annotated[str, Field(max_length=1000)]

NAMES = 20
"""Files of which the recipe has the names; the manifest has them all."""


class About(Kind):
    """What is said of data that somebody else has made; nothing of it changes a sample."""

    title: Line = Field("", description="Title of the data.")
    licence: Line = Field("", description="Licence of the data, as its SPDX identifier, e.g. CC-BY-4.0.")
    citation: Line = Field("", description="Publication to cite, or its DOI.")
    contact: Line = Field("", description="Whom to ask.")
    url: Line = Field("", description="Where the data were found.")


class Imported(About):
    """Where the samples of a dataset come from that Ritz did not solve; `ritz import` writes it."""

    files: tuple[str, ...] = Field(description="Names of the files, the first 20 of them.")
    count: int = Field(gt=0, description="Number of files.", json_schema_extra=in_units("files"))
    bytes: int = Field(ge=0, description="Size of the files.", json_schema_extra=in_units("bytes"))
    manifest: str = Field(
        pattern=r"^imports/[A-Za-z0-9_.-]+\.json$", description="Key of the list of all files in the store."
    )
