"""A training that goes on from call to call, each of so many seconds of the processor."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path

from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.run import seeded
from ritz.compute.training.samples.supply import Supply
from ritz.compute.training.surroundings import Surroundings
from ritz.compute.training.training import Training

log = logging.getLogger("benchmarks")

SAVED = 15.0
"""Seconds between checkpoints."""


class Spent(Exception):
    """The time is over, and a checkpoint is written."""


@dataclass(frozen=True)
class Resumed:
    """A training with its checkpoint and its account, which lie beside each other.

    Attributes
    ----------
    path
        Of the checkpoint, ``.safetensors``.
    training, surrogate, supply
        What is trained, and on what; always the same for a path.
    """

    path: Path
    training: Training
    surrogate: Surrogate
    supply: Supply

    def took(self) -> dict[str, float]:
        """Return the ``updates`` that are done, the ``total`` to be done, and their ``seconds``."""
        if not self._account.exists():
            return {"updates": 0, "total": 0, "seconds": 0.0}
        found: dict[str, float] = json.loads(self._account.read_text())
        return found

    def go(self, seconds: float) -> None:
        """Train for so many seconds of the processor, at least one update, or to the end."""
        took = self.took()
        if 0 < took["total"] == took["updates"]:
            return
        began, now = time.process_time(), dict(took)

        def save(blob: bytes) -> None:
            spent = time.process_time() - began
            replace(self.path, blob)
            replace(self._account, json.dumps({**now, "seconds": took["seconds"] + spent}).encode())
            if spent >= seconds and now["updates"] > took["updates"]:
                raise Spent

        around = Surroundings(
            load=self._load,
            save=save,
            progress=lambda state: now.update(updates=state.step, total=state.steps),
            save_every_s=min(SAVED, seconds),
        )
        try:
            self.training.fit(self.surrogate, self.supply, around)
        except Spent:
            log.info("%s: %s", self.path.stem, self.took())

    def model(self) -> Model | None:
        """Return the model as it is now; None before the first checkpoint."""
        if not self.path.exists():
            return None
        with seeded(self.training.seed, "cpu"):
            loop = self.training.run(self.surrogate, self.supply, Surroundings(load=self._load)).resume()
        assert loop is not None
        return loop.finish()

    @property
    def _account(self) -> Path:
        return self.path.with_suffix(".json")

    def _load(self) -> bytes | None:
        return self.path.read_bytes() if self.path.exists() else None


def replace(path: Path, blob: bytes) -> None:
    """Write a file so that it is there as a whole, or as it was."""
    partial = path.with_suffix(".part")
    partial.write_bytes(blob)
    partial.rename(path)
