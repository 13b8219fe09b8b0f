"""What audits and samples that were made again are reported as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ritz.compute.document import Document, DocumentPart, Number


class WorstValue(DocumentPart):
    """The value that came nearest to its bound, or went furthest beyond it; None for what is not finite."""

    value: Number | None
    bound: Number | None
    sample: int


class Check(DocumentPart):
    """What a check looked at, how much of it is bad, and what was expected; `worst` is of a dataset alone."""

    checked: int
    bad: int
    worst: WorstValue | None = None
    expected: str


class FindingRow(DocumentPart):
    """Something that is not as expected; see `ritz.tasks.auditing.findings.Finding`. ``text`` says it in a line."""

    check: str
    variable: str | None
    shard: int | None
    samples: tuple[int, ...]
    object: str | None
    what: str
    text: str


class AuditRecord(Document):
    """What an audit of a version of a dataset found.

    Attributes
    ----------
    checks
        By name, in the order of `ritz.tasks.auditing.findings.CHECKS`.
    not_done
        Checks that damage made impossible.
    samples
        That are stored, None where the version could not be opened.
    solved_again
        Their ids.
    bytes
        Read, uncompressed.
    record
        Key of this record in the store; None where it could not be kept.
    """

    dataset: str
    version: str
    snapshot: str | None
    clean: bool
    checks: Mapping[str, Check]
    findings: tuple[FindingRow, ...]
    not_done: tuple[str, ...]
    samples: int | None
    solved_again: tuple[int, ...]
    bytes: int
    created: str
    seconds: Number
    record: str | None = None

    @property
    def title(self) -> str:
        """What was audited, in words."""
        return f"{self.dataset}@{self.version}"


class ModelFinding(DocumentPart):
    """Something of a model that is not as expected, in a line."""

    check: str
    text: str


class ModelAudit(DocumentPart):
    """What an audit of a version of a model found.

    Attributes
    ----------
    digests
        Whether it has any; a model of an older release has none.
    """

    not_done: ClassVar[tuple[str, ...]] = ()
    """No check of a model is made impossible by damage."""

    model: str
    version: str
    clean: bool
    digests: bool
    checks: Mapping[str, Check]
    findings: tuple[ModelFinding, ...]

    @property
    def title(self) -> str:
        """What was audited, in words."""
        return f"model {self.model}@{self.version}"


class BothAudits(AuditRecord):
    """The audit of a dataset, and of the model of the same name and version."""

    model: ModelAudit


class Words(DocumentPart):
    """A word of the ledger, as it is stored (None where it cannot be read) and as it is when a sample is made again."""

    stored: str | None
    again: str


class InputDifference(DocumentPart):
    """Whether an input is the same bit for bit, and the largest difference; None where there is no such number."""

    equal: bool
    difference: Number | None


class OutputDifference(DocumentPart):
    """Relative L2 difference of an output from the one made again, what is allowed, and whether it is within."""

    difference: Number | None
    bound: Number | None
    within: bool


class MadeAgain(DocumentPart):
    """A sample that was made again, compared with what is stored.

    Attributes
    ----------
    inputs, outputs
        By variable; outputs are empty where the sample failed then or now.
    unreadable
        By variable: why.
    """

    sample: int
    shard: int
    status: Words
    solver: Words
    inputs: Mapping[str, InputDifference]
    outputs: Mapping[str, OutputDifference]
    unreadable: Mapping[str, str]
    agrees: bool


class RegeneratedSample(MadeAgain):
    """The same with the names of the dataset's version and snapshot."""

    dataset: str
    snapshot: str
