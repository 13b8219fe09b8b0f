from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["compute.solvers.krylov", "compute.solvers.order"])
def test_examples_in_docstrings_run(name):
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted > 0
    assert results.failed == 0
