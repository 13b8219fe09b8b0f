from __future__ import annotations

import doctest
import importlib

import pytest

DOCUMENTED = ("krylov.conjugate_gradients", "krylov.minimal_residuals", "order")


@pytest.mark.parametrize("name", DOCUMENTED)
def test_examples_in_docstrings_run(name):
    results = doctest.testmod(importlib.import_module(f"ritz.compute.solvers.{name}"))
    assert results.attempted > 0
    assert results.failed == 0
