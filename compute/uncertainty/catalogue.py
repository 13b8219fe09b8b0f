from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, cast

from ritz.compute.evaluation.lyapunov import Benettin
from ritz.compute.kind import Kind, OneOf
from ritz.compute.simulation.reduced.reduced import ReducedBases
from ritz.compute.uncertainty.conformal.conformal import Conformal
from ritz.compute.uncertainty.events.catalogue import RECALIBRATIONS
from ritz.compute.uncertainty.none import NoUncertainty
from ritz.compute.uncertainty.propagation.laws.catalogue import INPUT_LAWS
from ritz.compute.uncertainty.selection.conformal_selection import ConformalSelection
from ritz.compute.uncertainty.sensitivity.catalogue import SENSITIVITIES
from ritz.compute.uncertainty.uncertainty import Calibrated, Uncertainty

METHODS = OneOf(Uncertainty, lambda: (Conformal, NoUncertainty), group="ritz.uncertainties")
"""The shipped methods, and those of installed packages."""

AnyUncertainty = Annotated[Uncertainty, METHODS]
"""Field type: any of them, or an instance of one's own class."""

USUAL: Uncertainty = Conformal()
"""What a recipe has that names none."""

LEAST: Uncertainty = Conformal(levels=(0.5,))
"""Error bars that ask for the fewest samples."""

FROM_PYTHON: Mapping[str, type[Kind] | OneOf] = {
    "ritz.compute.evaluation": Benettin,
    "ritz.compute.simulation.reduced": ReducedBases,
    "ritz.compute.uncertainty.selection": ConformalSelection,
    "ritz.compute.uncertainty.events": RECALIBRATIONS,
    "ritz.compute.uncertainty.propagation": INPUT_LAWS,
    "ritz.compute.uncertainty.sensitivity": SENSITIVITIES,
}
"""Methods that a program uses and no recipe holds, for evolutions and for models, by their package."""


def uncertainty(document: Mapping[str, Any]) -> Uncertainty:
    """Return the method that a recipe names.

    Raises
    ------
    ValueError
        No method has such a name, or its fields are no such fields.
    """
    return _method(str(document.get("kind"))).model_validate(document)


def calibrated(blob: bytes) -> Calibrated:
    """Read what `Calibrated.to_bytes` of any method wrote; a release before there were several wrote no kind.

    Raises
    ------
    ValueError
        It is nothing of the sort, or no method has its name.
    """
    document = json.loads(blob)
    if not isinstance(document, dict):
        raise ValueError(f"expected a mapping, found {type(document).__name__}")
    return _method(str(document.get("kind", "conformal"))).read(blob)


def about(document: Mapping[str, Any]) -> str:
    """Return what a report says of the method that a recipe names; in general words where it is not installed."""
    return _named(document).about


def promise(document: Mapping[str, Any]) -> str:
    """Return what the method that a recipe names guarantees; in general words where it is not installed."""
    return _named(document).promised(document)


def _named(document: Mapping[str, Any]) -> type[Uncertainty]:
    known = cast(dict[str, type[Uncertainty]], METHODS.kinds())
    return known.get(str(document.get("kind", USUAL.kind)), Uncertainty)


def _method(kind: str) -> type[Uncertainty]:
    known = cast(dict[str, type[Uncertainty]], METHODS.kinds())
    if kind not in known:
        raise ValueError(f"there is no method {kind!r}, expected one of {', '.join(map(repr, sorted(known)))}")
    return known[kind]
