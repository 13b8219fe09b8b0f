from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from compute.kind import Kind
from compute.problems.catalogue import AnyProblem
from compute.problems.darcy import Darcy
from compute.solvers.catalogue import AnySolver
from compute.solvers.choice import Auto
from compute.surrogates.catalogue import AnySurrogate
from compute.surrogates.fno import FNO
from compute.training.catalogue import AnyTraining
from compute.training.online import Online
from compute.uncertainty.conformal import Conformal
from tasks.schedule import Schedule

BLOCK = 20
"""Splits are assigned by id in blocks of this many, so that their shares are exact."""

Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class Splits(Kind):
    """How many of every 20 consecutive ids go to each split; the sum is 20."""

    train: int = Field(12, gt=0, description="Trained on.")
    validate_: int = Field(
        2, ge=0, alias="validate", description="Watched while training; the band width is learnt on it."
    )
    steer: int = Field(0, ge=0, description="Kept for steering the sampling.")
    calibrate: int = Field(3, ge=0, description="Sets the levels of the bands.")
    test: int = Field(3, gt=0, description="Seen by nothing before the evaluation.")

    @model_validator(mode="after")
    def _sum(self) -> Splits:
        total = sum(share for _, share in self.shares())
        if total != BLOCK:
            raise ValueError(f"shares add up to {total}; expected {BLOCK}")
        return self

    def shares(self) -> tuple[tuple[str, int], ...]:
        """Return ``(split, ids in a block)`` in the order of the ids."""
        return (
            ("train", self.train),
            ("validate", self.validate_),
            ("steer", self.steer),
            ("calibrate", self.calibrate),
            ("test", self.test),
        )

    def of(self, ids: np.ndarray) -> np.ndarray:
        """Return the split of each id, ``(n,)`` strings; fixed by the id alone."""
        return np.array(self._block())[np.asarray(ids) % BLOCK]

    def count(self, samples: int) -> dict[str, int]:
        """Return how many of the ids below ``samples`` each split has."""
        whole, rest = divmod(samples, BLOCK)
        begun = self._block()[:rest]
        return {split: whole * share + begun.count(split) for split, share in self.shares()}

    def _block(self) -> list[str]:
        return [split for split, share in self.shares() for _ in range(share)]


class Data(Kind):
    """Which samples there are and how exactly they are solved and stored."""

    samples: int = Field(1024, gt=0, le=10**9, description="Number of samples; a multiple of `shard`.")
    grow: int | None = Field(
        None, gt=0, le=10**9, description="New samples of every further run; a multiple of `shard`."
    )
    shard: int = Field(16, gt=0, le=65536, description="Samples of one task, one write and one Zarr shard.")
    seed: int = Field(0, ge=0, description="Seed of the law; a sample is fixed by it and its id.")
    rtol: float = Field(1e-8, gt=0, lt=1, description="True relative residual ‖b − Ax‖/‖b‖ every sample is solved to.")
    dtype: Literal["float32", "float64"] = Field("float32", description="Stored floating-point type.")
    splits: Splits = Field(Splits(), description="Shares of the splits.")

    @model_validator(mode="after")
    def _whole_shards(self) -> Data:
        for name, samples in (("samples", self.samples), ("grow", self.grow or 0)):
            below = samples // self.shard * self.shard
            if below != samples:
                nearest = f"{below} or {below + self.shard}" if below else str(self.shard)
                raise ValueError(
                    f"{name} = {samples} is no multiple of shard = {self.shard}; the nearest that are: {nearest}"
                )
        return self


class Gate(Kind):
    """What a model must reach to be released; one that does not is kept and marked as not released."""

    relative_l2: float | None = Field(None, gt=0, description="Largest mean relative L2 error on the test split.")
    coverage: float | None = Field(
        None, gt=0, lt=1, description="Largest difference between measured and nominal coverage at 90 %."
    )

    def failures(self, metrics: dict[str, Any], coverage: dict[str, Any]) -> list[str]:
        """Return a sentence for each bound that is missed."""
        found = []
        error = metrics["relative_l2"]["mean"]
        if self.relative_l2 is not None and not error <= self.relative_l2:
            found.append(f"mean relative L2 {error:.4g} is above {self.relative_l2:g}")
        if self.coverage is not None and "0.9" in coverage:
            measured = coverage["0.9"]["measured"]
            if not abs(measured - 0.9) <= self.coverage:
                found.append(f"90 % bands cover {measured:.1%}, further than {self.coverage:.1%} from nominal")
        return found


class Pipeline(Kind):
    """One run from a PDE to a surrogate with measured error bars; a recipe is the YAML of this object."""

    name: Name = Field(description="Name of the dataset and of the model.")
    problem: AnyProblem = Field(Darcy(), description="The PDE and the law of its inputs.")
    data: Data = Field(Data(), description="Which samples, how exactly solved, how stored.")
    solver: AnySolver = Field(Auto(), description="What solves the systems; `auto` measures and chooses.")
    surrogate: AnySurrogate = Field(FNO(), description="The network.")
    training: AnyTraining = Field(Online(), description="How it is trained.")
    uncertainty: Conformal = Field(Conformal(), description="How the bands are calibrated.")
    gate: Gate = Field(Gate(), description="What releases the model.")
    schedule: Schedule | None = Field(None, description="When a served recipe runs by itself.")

    @model_validator(mode="after")
    def _fits_together(self) -> Pipeline:
        level = self.uncertainty.levels[-1]
        wanted = {
            "train": (self.training.least, "training.watermark, else training would never start"),
            "validate": (1, "the width of the bands is learnt on them"),
            "calibrate": (self.uncertainty.samples(), f"the highest of uncertainty.levels, {level:g}, asks for them"),
            "test": (1, "the model is measured on them"),
        }
        found = self.data.splits.count(self.data.samples)
        for split, (least, reason) in wanted.items():
            if found[split] < least:
                raise ValueError(
                    f"data.samples = {self.data.samples} gives {found[split]} samples of the split {split!r}; "
                    f"expected at least {least}: {reason}"
                )
        try:
            self.training.check(found["train"])
        except ValueError as error:
            raise ValueError(f"training.{error}") from None
        shards = self.data.samples // self.data.shard
        if isinstance(self.training, Online) and self.training.ranks > shards:
            raise ValueError(f"training.ranks is {self.training.ranks}, expected at most {shards}: one for every shard")
        if self.gate.coverage is not None and 0.9 not in self.uncertainty.levels:
            raise ValueError("gate.coverage is measured at 90 %: expected 0.9 among uncertainty.levels")
        return self

    @property
    def train_samples(self) -> int:
        """Number of samples in the train split."""
        return self.data.splits.count(self.data.samples)["train"]

    def with_samples(self, samples: int) -> Pipeline:
        """Return this pipeline with another number of samples, checked anew."""
        data = self.data.model_dump() | {"samples": samples, "splits": self.data.splits}
        return type(self).model_validate({**dict(self), "data": Data.model_validate(data)})

    def document(self) -> dict[str, Any]:
        """Return the recipe as a JSON-able dict with every default written out."""
        return self.model_dump(mode="json", by_alias=True)

    @property
    def dataset_identity(self) -> str:
        """Hash of what fixes each sample: problem, law, seed, tolerance, dtype, layout; not how many there are."""
        document = self.document()
        data = {name: value for name, value in document["data"].items() if name not in ("samples", "grow")}
        return _hash({"problem": document["problem"], "data": data})

    @property
    def samples_identity(self) -> str:
        """Hash of what fixes all samples: `dataset_identity` and how many there are."""
        return _hash({"dataset": self.dataset_identity, "samples": self.data.samples})

    def model_identity(self, mode: str, dataset: str) -> str:
        """Hash of what fixes a model: the samples, how they arrive, surrogate, training.

        Parameters
        ----------
        mode
            ``"online"`` or ``"offline"``.
        dataset
            What fixes the samples: `samples_identity`, or the snapshot.
        """
        document = self.document()
        return _hash(
            {
                "mode": mode,
                "dataset": dataset,
                "surrogate": document["surrogate"],
                "training": document["training"],
            }
        )

    @property
    def identity(self) -> str:
        """Hash of everything that changes the outcome of a run."""
        document = self.document()
        document.pop("schedule")
        document["data"].pop("grow")
        return _hash(document)


def _hash(document: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
