from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from ritz.compute.kind import Fault, in_units
from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.network import Network, network
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.loop import Loop
from ritz.compute.training.losses.catalogue import AnyLoss
from ritz.compute.training.losses.fields import RelativeL2
from ritz.compute.training.parts.optimiser import AdamW, AnyOptimiser
from ritz.compute.training.parts.part import Part
from ritz.compute.training.parts.precision import Arithmetic, Precision
from ritz.compute.training.parts.rate import AnyRate, Cosine
from ritz.compute.training.parts.stopping import Stopping
from ritz.compute.training.samples.refill import Refill
from ritz.compute.training.steps.descent import Descent
from ritz.compute.training.surroundings import Surroundings
from ritz.compute.training.training import Training

if TYPE_CHECKING:
    import torch


class Stepped(Training, ABC):
    """How a network is trained by steps of gradient descent, whatever way its samples come.

    The loss is the weighted sum of ``losses``. The first share ``coarse`` of the steps sees means over blocks of two
    points along every axis of space, which costs a quarter in two dimensions.
    """

    batch_size: int = Field(default=8, ge=1, le=4096, json_schema_extra=in_units("samples"))
    """Samples in a step, for every rank."""
    ranks: int = Field(default=1, ge=1, le=1024)
    """Trainers that take every step together, each on samples of its own; their gradients are averaged."""
    optimiser: AnyOptimiser = AdamW()
    """What turns gradients into steps."""
    rate: AnyRate = Cosine()
    """How the learning rate changes over the steps."""
    losses: tuple[AnyLoss, ...] = Field(default=(RelativeL2(),), min_length=1, max_length=8)
    """What is kept small: the sum of these."""
    clip: float | None = Field(default=1.0, gt=0, le=1e6)
    """Largest norm of the gradient; None for no limit."""
    precision: Precision = "float32"
    """In what the network multiplies; 16 bits only where the device has them."""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Decay of an exponential moving average of the weights, which is then validated and saved; None for none."""
    stopping: Stopping | None = None
    """When to stop early; None for never."""
    coarse: float = Field(default=0.75, ge=0, le=1)
    """Share of the steps at half the resolution, where the grid is even and the surrogate works on any; 0 for none.

    There are none for a surrogate that steps through time: a step of one length is another map on another grid."""
    augment: bool = True
    """Whether every drawn sample is moved by a random symmetry of the problem."""
    start: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]+@v[1-9][0-9]*$")
    """Model ``NAME@VERSION`` of the same surrogate and variables whose weights, means and scales it begins with, as one
    of cheap samples for dear ones; None for weights drawn anew."""

    @model_serializer(mode="wrap")
    def _without_start(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave `start` out where there is none: trainings from before there was a choice are the same ones."""
        found: dict[str, Any] = serialize(self)
        if self.start is None:
            found.pop("start", None)
        return found

    @property
    def starts_from(self) -> str | None:
        """The model of `start`; see `Training.starts_from`."""
        return self.start

    def faults(self) -> Iterator[Fault]:
        """Yield early stopping that has nothing to go by; see `Kind.faults`."""
        if self.stopping is not None and self.validation == 0:
            yield Fault(
                ("validation", "stopping"),
                "validation is 0, expected at least 1: early stopping goes by the validation error",
            )

    @property
    def trainers(self) -> int:
        """The ranks; see `Training.trainers`."""
        return self.ranks

    @property
    def needs_equations(self) -> bool:
        """Whether one of the losses is of the equations; see `Training.needs_equations`."""
        return any(loss.needs_equations for loss in self.losses)

    def unfit(self, surrogate: Surrogate) -> str:
        """Refuse what is no network; see `Training.unfit`."""
        if isinstance(surrogate, Network):
            return ""
        return (
            f"training.kind is {self.kind!r} with the surrogate {surrogate.kind!r}, expected 'fit': it is fitted at "
            "once and has no weights that steps could change"
        )

    def loop(
        self,
        surrogate: Surrogate,
        normalisation: Normalisation,
        symmetry: str,
        total: int,
        *,
        refill: Refill,
        around: Surroundings,
        parts: Sequence[Part] = (),
    ) -> Loop:
        """Return a loop of gradient steps; see `Training.loop`."""
        if not isinstance(surrogate, Network):
            raise ValueError(self.unfit(surrogate))
        step = Descent(
            self,
            surrogate,
            normalisation,
            symmetry,
            total,
            problem=around.problem,
            device=around.device,
            group=around.group,
        )
        return Loop(
            step,
            total,
            validation=self.validation,
            refill=refill,
            device=around.device,
            group=around.group,
            parts=parts,
        )

    def check_device(self, device: str) -> None:
        """Refuse a device without the precision; see `Training.check_device`."""
        Arithmetic(self.precision, device)

    def check_learning(
        self, surrogate: Surrogate, normalisation: Normalisation, problem: Problem, samples: int
    ) -> None:
        """Try torch's own optimisers and rates on the network too; see `Training.check_learning`."""
        super().check_learning(surrogate, normalisation, problem, samples)
        if self.asks_torch and isinstance(surrogate, Network):
            self.try_on(network(surrogate, normalisation))

    @property
    def asks_torch(self) -> bool:
        """Whether optimiser or rate are torch's own, which may not go with every network."""
        return self.optimiser.kind == "torch" or self.rate.kind == "torch"

    def try_on(self, module: torch.nn.Module) -> None:
        """Raise a ValueError where the optimiser does not go with a network, which is thrown away, or with the rate."""
        self.optimiser.try_on(module)
        try:
            self.rate.follow(self.optimiser.build(module.parameters()), 100)
        except (ValueError, KeyError) as error:
            raise ValueError(f"rate {self.rate.kind!r} does not go with this optimiser: {error}") from error

    def check_losses(self, normalisation: Normalisation, problem: Problem | None) -> None:
        """Raise a ValueError where a loss is not for the variables or the problem; needs no torch."""
        penalty = problem.penalty if problem is not None and problem.has_penalty else None
        for loss in self.losses:
            loss.check(normalisation, penalty, "" if problem is None else problem.kind, self.coarse)

    @abstractmethod
    def repeats(self, fresh: int) -> float:
        """Return how often offline training sees each sample where online at equal steps sees ``fresh`` times as many.

        Only where `unpaired` is empty.
        """

    def unpaired(self) -> str:
        """Refuse ranks, early stopping and a curve without errors; see `Training.unpaired`."""
        if self.ranks > 1:
            return f"training.ranks is {self.ranks}, expected 1: the arms are trained side by side"
        if self.stopping is not None:
            return "training.stopping is set, expected none: the arms are compared at equal numbers of steps"
        if self.validation == 0:
            return "training.validation is 0, expected at least 1: the curves are of the validation error"
        return ""
