"""Where the samples of a dataset come from that were solved for the inputs of a prediction."""

from __future__ import annotations

from pydantic import Field

from ritz.compute.document import Json
from ritz.compute.kind import Kind, in_units


class CertifiedBy(Kind):
    """A prediction whose certified samples make a dataset; `ritz predict --certify --keep` writes it."""

    model: str = Field(description="The model, NAME@VERSION.")
    dataset: str = Field(description="The dataset that it was trained on, NAME@VERSION.")
    problem: Json = Field(description="The problem whose equations the samples solve.")
    start: str = Field(description="Where the solves began: 'own', 'prediction' or 'neighbours'.")
    file: str = Field(description="Name of the file of the inputs.")
    digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the file.")
    given: int = Field(gt=0, description="Samples of the file.", json_schema_extra=in_units("samples"))
