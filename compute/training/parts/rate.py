from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from ritz.compute.kind import Kind, OneOf
from ritz.compute.training.parts.part import Part, State, Validated
from ritz.compute.training.parts.torch_choice import Setting, check_settings, found

if TYPE_CHECKING:
    import torch

_OWN = ("optimizer", "self", "last_epoch", "verbose")
_NESTED = "is made of other schedules or of a function, which a recipe cannot hold"
_EXCLUDED = dict.fromkeys(("LambdaLR", "MultiplicativeLR", "SequentialLR", "ChainedScheduler"), _NESTED)


class Follower(Part):
    """Sets the learning rate of one optimiser, step after step; all that changes is in its state."""

    name: ClassVar[str] = "rate"


class Rate(Kind, ABC):
    """How the learning rate changes over the steps, whose number is known from the start."""

    kind: str

    @abstractmethod
    def follow(self, optimiser: torch.optim.Optimizer, total: int) -> Follower:
        """Return what sets the rate of an optimiser that stands at its largest one, over ``total`` steps."""


class Formula(Rate):
    """A learning rate that follows from the number of the step."""

    @abstractmethod
    def at(self, step: int, total: int, largest: float) -> float:
        """Return the learning rate of a step, the first being 0."""

    def follow(self, optimiser: torch.optim.Optimizer, total: int) -> Follower:
        """Return what sets the rate; see `Rate.follow`."""
        return _Computed(self, optimiser, total)


class Cosine(Formula):
    """A linear rise, then half a cosine down to zero."""

    kind: Literal["cosine"] = "cosine"
    warm_up: float = Field(default=0.15, ge=0, lt=1)
    """Share of the steps in which the learning rate rises."""

    def at(self, step: int, total: int, largest: float) -> float:
        """Return the learning rate of a step; see `Formula.at`."""
        rise = max(1.0, self.warm_up * total)
        if step < rise:
            return largest * (step + 1) / (rise + 1)
        past = (step - rise) / max(1.0, total - rise)
        return largest * 0.5 * (1 + math.cos(math.pi * past))


class Constant(Formula):
    """The optimiser's learning rate in all steps."""

    kind: Literal["constant"] = "constant"

    def at(self, step: int, total: int, largest: float) -> float:  # noqa: ARG002
        """Return the learning rate of a step; see `Formula.at`."""
        return largest


class TorchRate(Rate):
    """Any schedule of ``torch.optim.lr_scheduler``, by its name and with its own arguments, one step of it a step.

    Where a setting counts steps, ``"steps"`` stands for all of the training's. ReduceLROnPlateau is moved by the
    validation errors instead, and counts those.

    Examples
    --------
    >>> TorchRate(name="OneCycleLR", settings={"max_lr": 0.01, "total_steps": "steps"}).name
    'OneCycleLR'
    """

    kind: Literal["torch"] = "torch"
    name: str = Field(min_length=1)
    """Name of the class in ``torch.optim.lr_scheduler``."""
    settings: dict[str, Setting] = Field(default={})
    """Its arguments; what is not given is as torch has it."""

    @model_validator(mode="after")
    def _torch_takes_it(self) -> TorchRate:
        import torch

        check_settings(self._cls(), self.settings, _OWN)
        # Some move the momentum too, which SGD with one has; others ask for Adam's betas, which it has not.
        momentum = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.01, momentum=0.5)
        try:
            schedule = self._built(momentum, 10)
            if self.name != "ReduceLROnPlateau":
                # Some look at their settings no sooner than here.
                momentum.step()
                schedule.step()
        except (ValueError, RuntimeError, TypeError, ArithmeticError) as error:
            raise ValueError(f"torch.optim.lr_scheduler.{self.name} refuses these settings: {error}") from error
        return self

    def follow(self, optimiser: torch.optim.Optimizer, total: int) -> Follower:
        """Return what sets the rate; see `Rate.follow`."""
        return _Scheduled(self._built(optimiser, total), self.name == "ReduceLROnPlateau")

    def _built(self, optimiser: torch.optim.Optimizer, total: int) -> Any:
        settings = {name: total if value == "steps" else value for name, value in self.settings.items()}
        lists = {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}
        return self._cls()(optimiser, **lists)

    def _cls(self) -> type:
        from torch.optim import lr_scheduler

        return found(lr_scheduler, lr_scheduler.LRScheduler, self.name, _EXCLUDED)


class _Computed(Follower):
    def __init__(self, rate: Formula, optimiser: torch.optim.Optimizer, total: int) -> None:
        self.rate, self.optimiser, self.total = rate, optimiser, total
        self.largest = [float(group["lr"]) for group in optimiser.param_groups]

    def before(self, step: int) -> None:
        # Asked for anew: a state that is loaded brings a new list.
        for group, largest in zip(self.optimiser.param_groups, self.largest, strict=True):
            group["lr"] = self.rate.at(step, self.total, largest)


class _Scheduled(Follower):
    def __init__(self, scheduler: Any, plateau: bool) -> None:
        self.scheduler, self.plateau = scheduler, plateau

    def after(self, step: int) -> None:  # noqa: ARG002
        # torch sets the rate of the next step after each.
        if not self.plateau:
            self.scheduler.step()

    def validated(self, validated: Validated) -> None:
        if self.plateau:
            self.scheduler.step(validated.error)

    def state(self) -> State:
        return dict(self.scheduler.state_dict())

    def load(self, state: State) -> None:
        self.scheduler.load_state_dict(state)


AnyRate = Annotated[Rate, OneOf(Rate, lambda: (Cosine, Constant, TorchRate))]
"""Field type: how the learning rate changes, or an instance of one's own class."""
