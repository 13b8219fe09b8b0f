"""What a user says of files to import: the YAML of one `Import`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, field_validator

from ritz.compute.kind import Fault, Kind, OneOf, in_units
from ritz.tasks.importing.layouts.layout import Layout
from ritz.tasks.importing.layouts.named import Named
from ritz.tasks.importing.layouts.pdebench_darcy import PDEBenchDarcy
from ritz.tasks.importing.layouts.the_well import TheWell
from ritz.tasks.importing.variables import Dimension, Patterns, Variable, listed
from ritz.tasks.imprint import Imprint
from ritz.tasks.pipeline import Name, Splits

AnyLayout = Annotated[Layout, OneOf(Layout, lambda: (Named, PDEBenchDarcy, TheWell), group="ritz.layouts")]
"""Field type: how files are laid out."""

Word = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=100)]


class StoredAs(Kind):
    """How the samples are stored."""

    shard: int | None = Field(
        None,
        gt=0,
        le=65536,
        description="Samples of one task, one write and one Zarr shard, of which the samples of every import are a "
        "multiple; by default a divisor that makes 32 shards, or shards of 16 samples, of at most 64 MiB.",
        json_schema_extra=in_units("samples"),
    )
    dtype: Literal["float32", "float64"] = Field("float32", description="Stored floating-point type.")
    splits: Splits = Field(Splits(), description="Shares of the splits, by the number of the sample.")


class Import(Kind):
    """Files of samples that Ritz did not solve, and what their variables are.

    Samples are numbered from 0 in the order of the files, sorted by name, and inside a file in its order. Files that
    are new at a later import come after all samples there are.
    """

    name: Name = Field(description="Name of the dataset.")
    files: Patterns = Field((), description="Files, or patterns such as data/*.h5, relative to this YAML file.")
    layout: AnyLayout = Field(Named(), description="Layout of the files: what need not be said of each variable.")
    sample: str = Field("sample", min_length=1, max_length=100, description="Dimension of the samples in the files.")
    dims: dict[Word, Dimension] = Field({}, description="Coordinates of the dimensions, by the name they shall have.")
    variables: dict[Word, Variable] = Field(
        min_length=1, description="Variables of the dataset, by the name they shall have."
    )
    symmetries: Literal["none", "flips", "square"] = Field(
        "none", description="Flips, or flips and transpose (square), under which a sample stays a solution."
    )
    data: StoredAs = Field(StoredAs(), description="Shards, type and splits of the samples.")
    about: Imprint = Field(Imprint(), description="Description, licence, contact, citation and address of the data.")

    @field_validator("files", mode="before")
    @classmethod
    def _one_or_many(cls, given: object) -> object:
        return listed(given)

    def faults(self) -> Iterator[Fault]:
        """Yield what is missing to be imported; see `Kind.faults`."""
        without = [name for name, one in self.variables.items() if not one.files]
        if without and not self.files:
            yield Fault(
                ("files", "variables"),
                f"files is empty, and variables.{without[0]} has none of its own; expected files, e.g. data/*.h5",
            )
        roles = {one.role for one in self.variables.values()}
        if "output" not in roles or not roles & {"input", "parameter"}:
            yield Fault(
                ("variables",),
                f"variables have the roles {sorted(roles)}, expected at least one 'output' and one 'input' or "
                "'parameter'",
            )
        if "sample" in self.dims:
            yield Fault(("dims",), "dims has 'sample', expected other dimensions: that of the samples has no points")
