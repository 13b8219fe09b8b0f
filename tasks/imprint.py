from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ritz.compute.kind import Kind

Line = Annotated[str, Field(max_length=1000)]


class Imprint(Kind):
    """What a reader of the data is told besides what they were computed with; it changes no sample and no model."""

    description: str = Field("", max_length=2000, description="Content and purpose of the data.")
    licence: Line = Field(
        "", description="Licence of the data and of the models; best an SPDX identifier, e.g. CC-BY-4.0."
    )
    contact: Line = Field("", description="Whom a reader asks: a name, a mail address or a URL.")
    citation: Line = Field("", description="Publication to cite, or its DOI.")
    url: Line = Field("", description="Where the data, or more about them, are found.")
