from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from ritz.compute.kind import Kind, OneOf, Source
from ritz.compute.training.torch_choice import Setting, check_settings, found

if TYPE_CHECKING:
    import torch

_OWN = ("params", "self")
_EXCLUDED = {"SparseAdam": "is for sparse gradients, and those of a surrogate are dense"}


class Optimiser(Kind, ABC):
    """What turns gradients into steps; its learning rate is changed by a `ritz.compute.training.rate.Rate`."""

    kind: str

    @abstractmethod
    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser of some parameters, at its largest learning rate."""

    def try_on(self, module: torch.nn.Module) -> None:
        """Do one step on zero gradients of a network that is thrown away, to see whether they go together.

        Raises
        ------
        ValueError
            If the optimiser refuses the parameters: Muon takes matrices only, some take no complex numbers.
        """
        import torch

        try:
            parameters = list(module.parameters())
            optimiser = self.build(parameters)
            for parameter in parameters:
                parameter.grad = torch.zeros_like(parameter)
            if evaluates_again(optimiser):
                optimiser.step(lambda: 0.0)
            else:
                optimiser.step()
        except (ValueError, RuntimeError, TypeError, AssertionError) as error:
            raise ValueError(f"optimiser {self.kind!r} does not go with this surrogate: {error}") from error


class AdamW(Optimiser):
    """Adam with decoupled weight decay.

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source("I. Loshchilov, F. Hutter", "Decoupled weight decay regularization", 2019, "ICLR"),
    )

    kind: Literal["adamw"] = "adamw"
    learning_rate: float = Field(default=5e-3, gt=0, le=1)
    """Largest learning rate."""
    weight_decay: float = Field(default=1e-4, ge=0, le=1)
    """Decoupled weight decay."""

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser; see `Optimiser.build`."""
        import torch

        return torch.optim.AdamW(parameters, lr=self.learning_rate, weight_decay=self.weight_decay)


class TorchOptimiser(Optimiser):
    """Any optimiser of ``torch.optim``, by its name and with its own arguments.

    They are checked against the installed torch as soon as the object is made, by a step of a small network too, so
    that nothing is solved for a training that cannot begin. One that evaluates the loss several times per step (LBFGS)
    does so on the one batch of that step.

    Examples
    --------
    >>> TorchOptimiser(name="SGD", settings={"lr": 0.01, "momentum": 0.9, "nesterov": True}).name
    'SGD'
    """

    kind: Literal["torch"] = "torch"
    name: str = Field(min_length=1)
    """Name of the class in ``torch.optim``."""
    settings: dict[str, Setting] = Field(default={})
    """Its arguments; what is not given is as torch has it. ``lr`` is the largest learning rate."""

    @model_validator(mode="after")
    def _torch_takes_it(self) -> TorchOptimiser:
        import torch

        check_settings(self._cls(), self.settings, _OWN)
        # Of matrices alone, for those that take nothing else; the network itself is tried before a run.
        tiny = torch.nn.Linear(2, 2, bias=False)
        try:
            self.try_on(tiny)
        except ValueError as error:
            raise ValueError(f"torch.optim.{self.name} refuses these settings: {error.__cause__}") from error
        return self

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser; see `Optimiser.build`."""
        optimiser: torch.optim.Optimizer = self._cls()(parameters, **self.settings)
        return optimiser

    def _cls(self) -> type:
        import torch

        return found(torch.optim, torch.optim.Optimizer, self.name, _EXCLUDED)


def evaluates_again(optimiser: torch.optim.Optimizer) -> bool:
    """Whether a step of it needs a function that evaluates loss and gradient."""
    argument = inspect.signature(type(optimiser).step).parameters.get("closure")
    return argument is not None and argument.default is inspect.Parameter.empty


AnyOptimiser = Annotated[Optimiser, OneOf(Optimiser, lambda: (AdamW, TorchOptimiser))]
"""Field type: the optimiser of a training, or an instance of one's own class."""
