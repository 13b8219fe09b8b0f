"""APEBench in a process of its own: JAX has an environment of its own, outside of the project's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.peers.process import Process

PYTHON = os.environ.get("APEBENCH_PYTHON", "build/apebench/bin/python")
"""Interpreter that has apebench."""
_ONE_THREAD = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1", "JAX_PLATFORMS": "cpu"}


@dataclass(frozen=True)
class APEBench:
    """What APEBench does of the scenarios of one benchmark.

    Attributes
    ----------
    settings
        Of every scenario: ``num_points``, ``num_train_samples``, ``train_temporal_horizon``, ``num_test_samples``,
        ``test_temporal_horizon`` and others by their names there.
    network
        Its description, as APEBench reads it.
    """

    settings: Mapping[str, Any]
    network: str

    @cached_property
    def process(self) -> Process:
        """The process, started when first needed."""
        return Process("apebench_jax.py", PYTHON, environment=_ONE_THREAD)

    @property
    def about(self) -> str:
        """Its versions."""
        return " ".join(f"{name} {number}" for name, number in self.process.versions.items())

    def data(self, scenario: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the trajectories to train and to test on, ``(n, time, x)`` float64, first states included."""
        points = self.settings["num_points"]
        shapes = [
            (self.settings[f"num_{part}_samples"], self.settings[f"{part}_temporal_horizon"] + 1, points)
            for part in ("train", "test")
        ]
        sizes = [int(np.prod(shape)) for shape in shapes]
        _, values = self._ask(scenario, {"method": "data"}, [], sum(sizes))
        train, test = np.split(values, sizes[:1])
        return train.reshape(shapes[0]), test.reshape(shapes[1])

    def trained(self, scenario: str, seed: int) -> tuple[np.ndarray, float, int]:
        """Train a network; return its error at every step of the test, its seconds and its parameters."""
        request = {"method": "train", "network": self.network, "seed": seed}
        account, errors = self._ask(scenario, request, [], self.settings["test_temporal_horizon"])
        return errors, account["seconds"], account["parameters"]

    def measured(self, scenario: str, rollout: np.ndarray) -> np.ndarray:
        """Return the errors of rollouts of the test's first states, ``(n, time, x)``, at every step."""
        _, errors = self._ask(scenario, {"method": "measure"}, [rollout], self.settings["test_temporal_horizon"])
        return errors

    def _ask(
        self, scenario: str, request: Mapping[str, Any], arrays: list[np.ndarray], count: int
    ) -> tuple[dict[str, Any], np.ndarray]:
        return self.process.ask(
            {"scenario": scenario, "settings": dict(self.settings), **request},
            [np.ascontiguousarray(array, dtype="<f8").ravel() for array in arrays],
            count,
        )
