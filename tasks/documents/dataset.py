"""What is said of a version of a dataset, and of how it was solved."""

from __future__ import annotations

from collections.abc import Mapping

from ritz.compute.document import Document, DocumentPart, Json, Number
from ritz.compute.solvers.choice.record import Choice, PanelRow


class DatasetVersion(DocumentPart):
    """A version of a dataset and the snapshot that it is."""

    name: str
    version: str
    snapshot: str

    @property
    def spec(self) -> str:
        """``"name@v1"``, by which it can be read."""
        return f"{self.name}@{self.version}"


class PublishedDataset(DatasetVersion):
    """The same with its number of samples, and those of each split."""

    samples: int
    splits: Mapping[str, int]


class LedgerSummary(DocumentPart):
    """What the ledger says of all samples of a version, and what a run did for them.

    Attributes
    ----------
    max_residual
        Of the ok samples, None if there are none.
    solvers
        Samples by the solver that answered them.
    failed
        Samples.
    seconds
        Solver time of all samples.
    rtol
        True relative residual that was asked for.
    rounding_bound
        Of what rounding to the stored dtype changes, None where it was not measured.
    solved, reused
        Samples that this run solved, and that it found solved.
    """

    max_residual: Number | None
    solvers: Mapping[str, int]
    failed: int
    seconds: Number
    rtol: Number
    rounding_bound: Number | None = None
    solved: int
    reused: int


class Asked(DocumentPart):
    """For what a solver was chosen: the number of samples, and the solver as the recipe names it."""

    samples: int
    solver: Json


class Probe(Document):
    """The newest probe for a dataset: what was asked, which solver it came to, and what it measured.

    Attributes
    ----------
    solver
        Its fields; None, as `asked`, where a dataset was copied without its probe.
    panel
        See `ritz.compute.solvers.choice.panel`.
    """

    asked: Asked | None = None
    solver: Json | None = None
    choice: Choice = Choice()
    panel: tuple[PanelRow, ...] = ()
