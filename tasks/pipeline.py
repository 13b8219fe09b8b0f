from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator

from ritz.compute.evaluation.catalogue import USUAL as METRICS
from ritz.compute.evaluation.catalogue import AnyMetric
from ritz.compute.kind import Fault, Kind, in_units
from ritz.compute.problems.catalogue import AnyProblem
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.problem import Problem
from ritz.compute.solvers.catalogue import AnySolver
from ritz.compute.solvers.choice.auto import Auto
from ritz.compute.surrogates.catalogue import AnySurrogate
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.training.catalogue import AnyTraining
from ritz.compute.training.online import Online
from ritz.compute.uncertainty.catalogue import USUAL, AnyUncertainty
from ritz.compute.uncertainty.propagation.propagation import Propagation
from ritz.tasks.errors import RecipeError
from ritz.tasks.importing.imported import Imported
from ritz.tasks.imprint import Imprint
from ritz.tasks.measuring.gate import Gate
from ritz.tasks.parsing.asked_law import asked_law
from ritz.tasks.parsing.asked_rows import is_of_rows, law_of_rows, without_coordinates
from ritz.tasks.parsing.identity import NO_OUTCOME, document_hash
from ritz.tasks.parsing.other_law import shifted
from ritz.tasks.parsing.plain import RecipeDocument
from ritz.tasks.parsing.schedule import Schedule
from ritz.tasks.prediction.certified_by import CertifiedBy

BLOCK = 20
"""Splits are assigned by id in blocks of this many, so that their shares are exact."""

STAGES = ("train", "quantify", "evaluate")
"""The stages that ask for samples of certain splits."""

Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class Splits(Kind):
    """How many of every 20 consecutive ids go to each split; the sum is 20.

    A share of all, such as 0.6, is taken as the count of 20 that it equals.
    """

    train: int = Field(12, gt=0, description="Samples for training.")
    validate_: int = Field(
        2, ge=0, alias="validate", description="Samples for validation during training, and for the band width."
    )
    steer: int = Field(0, ge=0, description="Samples reserved for steering the sampling.")
    calibrate: int = Field(3, ge=0, description="Samples that calibrate the bands.")
    test: int = Field(3, gt=0, description="Samples for the evaluation alone.")

    @field_validator("*", mode="before")
    @classmethod
    def _count(cls, given: Any) -> Any:
        if not isinstance(given, float) or not 0 < given < 1:
            return given
        count = round(given * BLOCK)
        if abs(given * BLOCK - count) > 1e-9:
            below = int(given * BLOCK)
            near = " or ".join(f"{n / BLOCK:g} ({n} of {BLOCK})" for n in (below, below + 1))
            raise ValueError(f"expected a multiple of {1 / BLOCK:g}; the nearest are {near}")
        return count

    def faults(self) -> Iterator[Fault]:
        """Yield that they do not add up; see `Kind.faults`."""
        total = sum(count for _, count in self.shares())
        if total != BLOCK:
            counts = ", ".join(f"{split} {count}" for split, count in self.shares())
            yield Fault(
                tuple(split for split, _ in self.shares()),
                f"shares add up to {total}; expected {BLOCK} (or {total / BLOCK:g} of all; expected 1): {counts}",
            )

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

    samples: int = Field(
        1024,
        gt=0,
        le=10**9,
        description="Number of samples; a multiple of `shard`.",
        json_schema_extra=in_units("samples"),
    )
    grow: int | None = Field(
        None,
        gt=0,
        le=10**9,
        description="New samples of every further run; a multiple of `shard`.",
        json_schema_extra=in_units("samples"),
    )
    shard: int = Field(
        16,
        gt=0,
        le=65536,
        description="Samples of one task, one write and one Zarr shard.",
        json_schema_extra=in_units("samples"),
    )
    seed: int = Field(0, ge=0, description="Seed of the law; seed and id determine a sample.")
    rtol: float = Field(1e-8, gt=0, lt=1, description="Largest true relative residual ‖b − Ax‖/‖b‖ of a sample.")
    dtype: Literal["float32", "float64"] = Field("float32", description="Stored floating-point type.")
    splits: Splits = Field(Splits(), description="Shares of the splits.")

    def faults(self) -> Iterator[Fault]:
        """Yield numbers of samples that fill no whole number of shards; see `Kind.faults`."""
        for name, samples in (("samples", self.samples), ("grow", self.grow or 0)):
            below = samples // self.shard * self.shard
            if below != samples:
                near = f"{below} or {below + self.shard}" if below else str(self.shard)
                yield Fault(
                    (name, "shard"),
                    f"{name} = {samples} is no multiple of shard = {self.shard}; the nearest that are: {near}",
                )


class Pipeline(Kind):
    """One run from a PDE to a surrogate with measured error bars; a recipe is the YAML of this object."""

    name: Name = Field(description="Name of the dataset and of the model.")
    problem: AnyProblem = Field(Darcy(), description="The PDE and the law of its inputs.")
    data: Data = Field(Data(), description="Number, accuracy and storage of the samples.")
    solver: AnySolver = Field(Auto(), description="Solver of the systems; `auto` measures and chooses.")
    surrogate: AnySurrogate = Field(FNO(), description="The surrogate model.")
    training: AnyTraining = Field(Online(), description="Training of the surrogate.")
    evaluation: tuple[AnyMetric, ...] = Field(
        METRICS, description="Metrics of the model; `relative_l2` is one of them.", min_length=1
    )
    uncertainty: AnyUncertainty = Field(USUAL, description="Error bars of the model, and their calibration.")
    gate: Gate = Field(Gate(), description="Conditions for the release of the model.")
    propagate: tuple[Propagation, ...] = Field(
        (), description="Questions about the population of the law, which every run answers at its end.", max_length=16
    )
    schedule: Schedule | None = Field(None, description="Schedule of a served recipe.")
    about: Imprint = Field(
        Imprint(), description="Description, licence, contact, citation and address, for readers of the data."
    )
    catalogue: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="Folder or URL of a catalogue of the store, a static site, which every run writes at its end.",
    )
    imported: Imported | None = Field(
        None, description="Files of samples that Ritz did not solve; `ritz import` writes it."
    )
    certified: CertifiedBy | None = Field(
        None, description="Prediction whose certified samples these are; `ritz predict --keep` writes it."
    )

    def faults(self) -> Iterator[Fault]:
        """Yield a surrogate that is not trained so, and a gate on what is not measured; see `Kind.faults`."""
        if unfit := self.training.unfit(self.surrogate.learner):
            yield Fault(("training.kind", "surrogate.kind"), unfit)
        if self.surrogate.trainings > 1 and self.training.trainers > 1:
            yield Fault(
                ("training.ranks", "surrogate.kind"),
                f"training.ranks is {self.training.trainers} with the surrogate {self.surrogate.kind!r}, expected 1: "
                "the members are trained one by one",
            )
        if unfit := self.uncertainty.unfit(self.surrogate):
            yield Fault(("uncertainty", "surrogate.kind"), f"uncertainty cannot be found so: {unfit}")
        kinds = [metric.kind for metric in self.evaluation]
        if "relative_l2" not in kinds or len(set(kinds)) < len(kinds):
            yield Fault(
                ("evaluation",), f"evaluation is {kinds}, expected each metric once and 'relative_l2' among them"
            )
        for bound in ("coverage", "fields", "zone", "width", "shift"):
            if getattr(self.gate, bound) is not None and 0.9 not in self.uncertainty.levels:
                yield Fault(
                    (f"gate.{bound}", "uncertainty.levels"),
                    f"gate.{bound} is measured at 90 %: expected 0.9 among uncertainty.levels",
                )
        laws = self.uncertainty.other_laws()
        if self.gate.shift is not None and not laws:
            yield Fault(
                ("gate.shift", "uncertainty.shifts"),
                f"gate.shift is {self.gate.shift:g} and there is no other law to measure on: expected one or more in "
                "uncertainty.shifts",
            )
        for number, asked in enumerate(self.propagate):
            if unfit := asked.unfit(self.problem):
                yield Fault((f"propagate.{number}", "problem"), f"propagate.{number}: {unfit}")
            elif unfit := _law_unfit(asked, self.problem, f"propagate.{number}.law"):
                yield Fault((f"propagate.{number}.law", "problem"), unfit)
        for law, changes in laws.items():
            try:
                shifted(self.problem, changes)
            except ValueError as error:
                said = str(error).partition("\n")[0]
                yield Fault(("uncertainty.shifts",), f"uncertainty.shifts.{law}: {said}")

    def unmet(self, stages: Collection[str] = STAGES) -> Iterator[Fault]:
        """Yield what stages ask for that the samples do not give.

        A recipe with such faults is one all the same: what it lacks is samples for stages that may never be run.

        Parameters
        ----------
        stages
            Of `STAGES`, those that will be run.
        """
        wanted = self._wanted(stages)
        found = self.data.splits.count(self.data.samples)
        short = [split for split, (least, _, _) in wanted.items() if found[split] < least]
        if short:
            said = ", and ".join(
                f"{found[split]} samples of the split {split!r}; expected at least {least}: {reason}"
                for split, (least, reason, _) in wanted.items()
                if split in short
            )
            asked = {field for split in short for field in wanted[split][2]}
            yield Fault(
                ("data.samples", "data.splits", *sorted(asked)),
                f"data.samples = {self.data.samples} gives {said}{self._enough(wanted)}",
            )
        if "train" not in stages:
            return
        # What it lacks whatever the samples is a fault of its own.
        anyway = set(self.training.unmet(0))
        for fault in self.training.unmet(self.train_samples):
            if fault in anyway:
                continue
            fields = tuple(f"training.{field}" for field in fault.fields)
            yield Fault((*fields, "data.samples", "data.splits"), f"training.{fault.message}")
        shards = self.data.samples // self.data.shard
        for fault in self.training.unshared(shards):
            fields = tuple(f"training.{field}" for field in fault.fields)
            yield Fault((*fields, "data.samples", "data.shard"), f"training.{fault.message}")

    def _wanted(self, stages: Collection[str]) -> dict[str, tuple[int, str, tuple[str, ...]]]:
        """Return for splits how many samples stages ask for, why, and by which fields."""
        of_stage: dict[str, dict[str, tuple[int, str, tuple[str, ...]]]] = {
            "train": {
                "train": (
                    self.training.least,
                    "training.watermark, else training would never start",
                    ("training.watermark", "training.ranks"),
                )
            },
            "quantify": {
                split: (need.least, need.reason, tuple(f"uncertainty.{field}" for field in need.fields))
                for split, need in self.uncertainty.needs().items()
            },
            "evaluate": {"test": (1, "the model is measured on them", ())},
        }
        return {split: asked for stage in STAGES if stage in stages for split, asked in of_stage[stage].items()}

    def _enough(self, wanted: Mapping[str, tuple[int, str, tuple[str, ...]]]) -> str:
        """Return in words the smallest number of samples that has what is wanted of every split."""
        shares, shard = dict(self.data.splits.shares()), self.data.shard
        if not all(shares[split] for split in wanted):
            return ""

        def enough(samples: int) -> bool:
            found = self.data.splits.count(samples)
            return all(found[split] >= least for split, (least, _, _) in wanted.items())

        shards = max(-(-least * BLOCK // (shares[split] * shard)) for split, (least, _, _) in wanted.items()) + 1
        while shards > 1 and enough((shards - 1) * shard):
            shards -= 1
        return f"; the smallest data.samples that has enough is {shards * shard}"

    @property
    def train_samples(self) -> int:
        """Number of samples in the train split."""
        return self.data.splits.count(self.data.samples)["train"]

    def with_samples(self, samples: int) -> Pipeline:
        """Return this pipeline with another number of samples, checked anew."""
        data = self.data.model_dump() | {"samples": samples, "splits": self.data.splits}
        return type(self).model_validate({**dict(self), "data": Data.model_validate(data)})

    def document(self) -> RecipeDocument:
        """Return the recipe as a JSON-able dict with every default written out."""
        document = self.model_dump(mode="json", by_alias=True)
        if self.evaluation == METRICS:
            # Recipes from before there was a choice are the same ones.
            del document["evaluation"]
        if not self.propagate:
            del document["propagate"]
        if self.about == Imprint():
            del document["about"]
        if self.catalogue is None:
            del document["catalogue"]
        if self.imported is None:
            del document["imported"]
        if self.certified is None:
            del document["certified"]
        return document

    @property
    def dataset_identity(self) -> str:
        """Hash of what fixes each sample: problem, law, seed, tolerance, dtype, layout; not how many there are."""
        return document_hash(self.fixed)

    @property
    def fixed(self) -> RecipeDocument:
        """What fixes each sample, of `document`."""
        document = self.document()
        data = {name: value for name, value in document["data"].items() if name not in ("samples", "grow")}
        return {"problem": document["problem"], "data": data}

    @property
    def samples_identity(self) -> str:
        """Hash of what fixes all samples: `dataset_identity` and how many there are."""
        return document_hash({"dataset": self.dataset_identity, "samples": self.data.samples})

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
        return document_hash(
            {
                "mode": mode,
                "dataset": dataset,
                "surrogate": document["surrogate"],
                "training": document["training"],
            }
        )

    @property
    def identity(self) -> str:
        """Hash of everything that changes the outcome of a run, and of what it is judged by."""
        document = self.document()
        for name in NO_OUTCOME:
            document.pop(name, None)
        document["data"].pop("grow")
        # Recipes that do not ask for a bound that came later are those from before it was there.
        usual = Gate().model_dump(mode="json")
        document["gate"] = {
            name: value
            for name, value in document["gate"].items()
            if name in ("relative_l2", "coverage") or value != usual[name]
        }
        return document_hash(document)


def _law_unfit(asked: Propagation, problem: Problem, field: str) -> str:
    """Return why the law of a question is none, before its dataset is looked for; empty where it is one."""
    if not asked.law:
        return ""
    try:
        if is_of_rows(asked.law):
            law, _ = law_of_rows(asked.law, field)
            reason = without_coordinates(asked, law)
            return f"{field}: {reason}" if reason else ""
        asked_law(asked.law, problem, {})
    except RecipeError as error:
        return str(error).replace("--law", field, 1)
    return ""
