from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from typing import Literal, Protocol

import numpy as np

from ritz.compute.solvers.operators import Operators, Pattern

Library = Literal["superlu", "pardiso", "cholmod"]

Solve = Callable[[np.ndarray], np.ndarray]
"""Answers a right-hand side ``(n,)``, or a block ``(n, k)``, with a solution of that shape."""


class Analysis(Protocol):
    """What is found once for a sparsity pattern: an elimination order and where the factors have entries."""

    def factor(self, entries: np.ndarray) -> Solve:
        """Factor the matrix with these entries, in the order of the pattern.

        PARDISO and CHOLMOD hold one factorisation an analysis: an older answerer factors again when it is used.

        Raises
        ------
        ZeroDivisionError
            If a pivot is zero, or the matrix is not definite where that was said.
        """
        ...


@lru_cache(maxsize=1)
def importable() -> tuple[Library, ...]:
    """Return the libraries there are, the fastest on large systems first."""
    modules: dict[Library, str] = {"pardiso": "pypardiso", "cholmod": "sksparse", "superlu": "scipy"}
    return tuple(library for library, module in modules.items() if find_spec(module) is not None)


def lacks(library: Library, operators: Operators) -> str:
    """Return what keeps a library from factoring such operators, ``""`` if nothing does."""
    if library not in importable():
        extra = {"pardiso": "pypardiso (pip install ritz[pardiso])", "cholmod": "scikit-sparse (ritz[cholmod])"}
        return f"{library} needs {extra[library]}"
    if library == "pardiso" and operators.dtype.kind == "c":
        return "pardiso is connected for real matrices only"
    if library == "cholmod" and not (operators.symmetric and operators.definite):
        return "cholmod needs symmetric positive definite matrices"
    return ""


def analyze(library: Library, operators: Operators) -> Analysis:
    """Return the analysis of the pattern of some operators; done once for a pattern and kept."""
    return _analyze(library, operators.pattern, operators.symmetric, operators.definite, operators.dtype)


@lru_cache(maxsize=16)
def _analyze(library: Library, pattern: Pattern, symmetric: bool, definite: bool, dtype: np.dtype) -> Analysis:
    # The libraries are extras: each is imported where it is used.
    if library == "pardiso":
        from ritz.compute.solvers.factorization.pardiso import Pardiso

        return Pardiso(pattern, symmetric, definite)
    if library == "cholmod":
        from ritz.compute.solvers.factorization.cholmod import Cholmod

        return Cholmod(pattern, dtype)
    from ritz.compute.solvers.factorization.superlu import SuperLU

    return SuperLU(pattern, dtype)
