from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, final

from pydantic import Field

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import Fault, Kind, in_units
from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.normalisation import Normalisation, Variable
from ritz.compute.surrogates.surrogate import Surrogate

if TYPE_CHECKING:
    import xarray as xr

    from ritz.compute.training.loop import Loop
    from ritz.compute.training.parts.part import Part
    from ritz.compute.training.run import Run
    from ritz.compute.training.samples.refill import Refill
    from ritz.compute.training.samples.supply import Supply
    from ritz.compute.training.surroundings import Surroundings
    from ritz.compute.training.trained import Trained


class Training(Kind, ABC):
    """How a surrogate learns, whatever way its samples come."""

    kind: str
    validation: int = Field(default=32, ge=0, le=100_000, json_schema_extra=in_units("samples"))
    """Samples of the validate split on which the curve's validation error is taken."""
    seed: int = Field(default=0, ge=0)
    """Seed of all that is random: first weights, the order of the samples, symmetries."""

    while_solving: ClassVar[bool] = False
    """Whether it learns from samples while others are solved, as a run does; else from a published version."""

    @property
    def starts_from(self) -> str | None:
        """Model ``NAME@VERSION`` whose weights it begins with; None where they are drawn, or there are none."""
        return None

    @final
    def fit(self, surrogate: Surrogate, source: Supply, around: Surroundings) -> Trained:
        """Train a surrogate, going on from a checkpoint if there is one.

        A training that was interrupted and goes on from its checkpoint ends with the same bits as one that was not, if
        the samples it had not yet received come in the same order and on one thread count of a CPU.

        Parameters
        ----------
        surrogate
            What is trained.
        source
            Where its samples come from.
        around
            Device, checkpoints, other ranks.

        Raises
        ------
        ValueError
            If there is no training sample, the surrogate is not trained so, the checkpoint is of another recipe, or
            device, losses or optimiser are not to be had.
        FloatingPointError
            If the loss or the validation error is not finite.
        ritz.compute.training.ranks.group.PeerLost
            If another rank is gone.
        """
        from ritz.compute.training.run import seeded

        # What is not to be had is refused before a sample is read or waited for.
        if around.group.size != self.trainers:
            raise ValueError(f"ranks is {self.trainers}, expected {around.group.size}: so many train together here")
        if unfit := self.unfit(surrogate):
            raise ValueError(unfit)
        self.check_device(around.device)
        self.check_losses(outline(source.template), around.problem)
        with seeded(self.seed, around.device):
            return self.run(surrogate, source, around).go()

    @abstractmethod
    def run(self, surrogate: Surrogate, source: Supply, around: Surroundings) -> Run[Training]:
        """Return the work of one call of `fit`, which has refused what cannot be trained so.

        Raises
        ------
        ValueError
            If there are too few training samples.
        """

    @abstractmethod
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
        """Return a loop before its first step, its weights drawn from torch's global generator.

        Parameters
        ----------
        surrogate, normalisation
            What learns, and how fields become channels.
        symmetry
            Attribute of the dataset; see `Problem.template`.
        total
            Steps to be done.
        refill
            Returns the samples of a checkpoint again.
        parts
            What else goes along with the steps.
        """

    @abstractmethod
    def unfit(self, surrogate: Surrogate) -> str:
        """Say why a surrogate cannot be trained so; empty where it can."""

    @property
    @abstractmethod
    def trainers(self) -> int:
        """Number of processes that do every step together."""

    @property
    @abstractmethod
    def least(self) -> int:
        """Training samples without which it does not begin."""

    @abstractmethod
    def steps(self, samples: int) -> int:
        """Return the number of steps for ``samples`` training samples, at least one."""

    @abstractmethod
    def normalised_on(self, samples: int) -> tuple[int, str]:
        """Return from how many of so many training samples means and scales come, and which field says so."""

    def short(self, samples: int, dataset: str) -> str:
        """Say that ``samples`` training samples of a dataset are too few to begin; empty where they are not."""
        if samples >= self.least:
            return ""
        return f"dataset {dataset} has {samples} training samples; expected {self.least} or more"

    def held(self, samples: Mapping[str, int]) -> int:
        """Return how many of the samples, counted by split, lie in memory while others are solved."""
        del samples
        return 0

    def unmet(self, samples: int) -> Iterator[Fault]:
        """Yield for what ``samples`` training samples are not enough."""
        del samples
        yield from ()

    def unshared(self, shards: int) -> Iterator[Fault]:
        """Yield that ``shards`` shards cannot be shared among the ranks."""
        del shards
        yield from ()

    def check(self, samples: int) -> None:
        """Raise a ValueError where ``samples`` training samples are not enough for what is asked."""
        found = [fault.message for fault in self.unmet(samples)]
        if found:
            raise ValueError("; ".join(found))

    def check_device(self, device: str) -> None:
        """Raise a ValueError where this process has no such device, or it not the arithmetic that is asked for."""

    def check_losses(self, normalisation: Normalisation, problem: Problem | None) -> None:
        """Raise a ValueError where a loss is not for the variables or the problem; needs no torch."""

    def check_learning(
        self, surrogate: Surrogate, normalisation: Normalisation, problem: Problem, samples: int
    ) -> None:
        """Raise a ValueError where this cannot be learnt: too few samples, losses or an optimiser that do not fit."""
        del surrogate
        self.check(samples)
        self.check_losses(normalisation, problem)
        count, said = self.normalised_on(samples)
        if self.starts_from is None and (unknown := scaleless(normalisation.dimensions, count)):
            raise ValueError(f"{said}, {unknown}")

    @property
    def needs_equations(self) -> bool:
        """Whether it learns from the equations of the problem too, not from samples alone."""
        return False

    def unpaired(self) -> str:
        """Say why it is nothing to compare online with offline training by; empty where it is."""
        return f"training.kind is {self.kind!r}, expected 'online' or 'offline': there are no steps to compare"


def scaleless(dimensions: Dimensions, samples: int) -> str:
    """Say that so many samples tell no scale of an input; empty where they do.

    A parameter is one number of each sample: a single one, or a single trajectory, does not tell how it varies.
    """
    if samples != 1 or not dimensions.numbers:
        return ""
    return (
        f"expected 2 or more: the inputs {list(dimensions.numbers)} are one number of each sample, and a single sample "
        "does not tell their scale"
    )


def outline(template: xr.Dataset) -> Normalisation:
    """Return the variables and dimensions of a template as a normalisation that was fitted on nothing."""
    dimensions = Dimensions.of(template)
    about = {name: template[name].attrs for name in dimensions.variables}
    variables = [
        Variable(name=name, role=attrs["role"], transform=attrs.get("transform", "identity"))
        for name, attrs in about.items()
    ]
    return Normalisation(variables=tuple(variables), dimensions=dimensions)
