"""What is kept of bands that were calibrated on another law than that of the dataset, and where it lies."""

from __future__ import annotations

from ritz.compute.document import Document, DocumentPart, Json, Number
from ritz.storage import models
from ritz.storage.store import Store
from ritz.storage.wording import meant, shown
from ritz.tasks.documents.calibration import Coverage
from ritz.tasks.documents.reading import read
from ritz.tasks.errors import InputError

_CALIBRATION, _BANDS, _SUFFIX = "calibration.", "bands.", ".json"


class OnLaw(DocumentPart):
    """What bands were worth on samples of a law that they have not seen, by nominal coverage."""

    samples: int
    coverage: Coverage


class LawCalibration(Document):
    """How bands were calibrated on another law.

    Attributes
    ----------
    law
        Its name, by which the bands lie beside the model.
    changes
        Fields of the problem with the values that they have there.
    dataset
        ``NAME@VERSION``, whose problem was changed and whose split ``validate`` gave the shape of the bands.
    seed
        Of the solved samples: another one than those of the datasets of the model.
    solves
        Asked for.
    shaped
        Of them, those that gave the shape of the bands, since the law has other equations; 0 where it has not.
    samples
        That the factors were calibrated on; fewer where a solve failed.
    relative_l2
        Mean error of the predictions on all that were solved.
    made
        How the bands were made, in a sentence or two.
    seconds
        Of solving, predicting and calibrating, by the clock on the wall.
    before
        What the bands of the model were worth on all that were solved; None where the model has none.
    after
        What these bands were worth on further solves; None where that was not measured, and ``unmeasured`` says why.
    """

    law: str
    changes: Json
    dataset: str
    seed: int
    solves: int
    shaped: int = 0
    samples: int
    relative_l2: Number
    made: str = ""
    seconds: Number
    before: OnLaw | None = None
    after: OnLaw | None = None
    unmeasured: str = ""


def calibration_file(law: str) -> str:
    """Return the name of the file of a `LawCalibration`."""
    return f"{_CALIBRATION}{law}{_SUFFIX}"


def bands_file(law: str) -> str:
    """Return the name of the file of the bands of a law."""
    return f"{_BANDS}{law}{_SUFFIX}"


def is_bands(file: str) -> bool:
    """Return whether a file of a model holds the bands of a law."""
    return _law_of(file, _BANDS) is not None


def laws(store: Store, spec: str) -> dict[str, LawCalibration]:
    """Return how the bands of a model for other laws were calibrated, by the names of these.

    Raises
    ------
    ritz.storage.errors.Unknown
        If there is no such model or version.
    ritz.storage.errors.StorageError
        If a document is damaged.
    """
    found = {}
    for file in models.files(store, spec):
        if (law := _law_of(file, _CALIBRATION)) is not None:
            found[law] = read(LawCalibration, models.read_document(store, spec, file), f"{file} of model {spec}")
    return found


def law_calibration(store: Store, spec: str, law: str) -> LawCalibration:
    """Return how the bands of a model for another law were calibrated.

    Raises
    ------
    ritz.tasks.errors.InputError
        If the model has no bands of this name; the message lists those there are.
    """
    known = laws(store, spec)
    if law not in known:
        there = ", ".join(map(repr, known)) or "none"
        raise InputError(
            f"model {spec} has no bands of a law {shown(law)}, there are: {there}{meant(law, known)}; "
            f"`ritz quantify {spec} --dataset NAME --law '{{…}}'` calibrates some"
        )
    return known[law]


def _law_of(file: str, prefix: str) -> str | None:
    """Return of which law a file is by its name; None for others, ``bands.json`` among them."""
    law = file.removeprefix(prefix).removesuffix(_SUFFIX)
    return law if law and file == f"{prefix}{law}{_SUFFIX}" else None
