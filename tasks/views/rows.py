"""The rows of the lists of a store."""

from __future__ import annotations

from pydantic import Field

from ritz.compute.document import DocumentPart, Number
from ritz.tasks.documents.verdict import Release


class DatasetRow(DocumentPart):
    """A dataset.

    Attributes
    ----------
    version, samples
        Its newest version, None if there is none, and how many samples that one has.
    planned, done, failed
        Samples of the dataset as it is being made or grown.
    problem
        Kind of its problem.
    """

    dataset: str
    version: str | None
    samples: int
    planned: int
    done: int
    failed: int
    problem: str


class ModelRow(DocumentPart):
    """A version of a model.

    Attributes
    ----------
    dataset
        What it was trained on.
    relative_l2
        Mean over the test samples, None before it was evaluated.
    break_even
        After how many queries it has paid for itself, in a word or two.
    release, released
        What became of it at its gate; None for the latter where it never came to one.
    """

    model: str
    version: str
    dataset: str
    surrogate: str
    mode: str
    steps: int
    relative_l2: Number | None = Field(alias="relative L2")
    break_even: str = Field(alias="break-even")
    release: Release
    released: bool | None


class RunRow(DocumentPart):
    """A run; "-" for what it has not come to."""

    run: str
    status: str
    dataset: str
    model: str
    relative_l2: str = Field(alias="relative L2")
    seconds: str
