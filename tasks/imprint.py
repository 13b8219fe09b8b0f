from __future__ import annotations

from pydantic import Field

from ritz.compute.kind import Kind


class Imprint(Kind):
    """What a reader of the data is told besides what the recipe computes; it changes no sample and no model."""

    description: str = Field("", max_length=2000, description="Content and purpose of the data, for its catalogue.")
    licence: str = Field(
        "", max_length=200, description="Licence of the data and of the models; best an SPDX identifier, `CC-BY-4.0`."
    )
    contact: str = Field("", max_length=200, description="Whom a reader asks: a name, a mail address or a URL.")
