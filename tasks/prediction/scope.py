from __future__ import annotations

from typing import get_args

from ritz.compute.uncertainty.uncertainty import Calibrated, Scope
from ritz.tasks.errors import InputError


def check_scope(scope: str, spec: str, bands: Calibrated | None) -> None:
    """Refuse a scope of which a model has no bands; without bands there is none but ``"points"``.

    Parameters
    ----------
    spec
        Of the model.

    Raises
    ------
    ritz.tasks.errors.InputError
        If there is no such scope, or no bands of it.
    """
    if scope not in get_args(Scope):
        raise InputError(f"scope is {scope!r}, expected {' or '.join(map(repr, get_args(Scope)))}")
    if scope not in (("points",) if bands is None else bands.scopes()):
        raise InputError(
            f"scope is {scope!r}, but model {spec} has no bands around whole fields; `ritz quantify {spec}` makes them"
        )
