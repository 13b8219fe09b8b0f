from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ritz.compute.evaluation.quantities.quantity import Quantity
from ritz.compute.simulation.coarsening import coarsened
from ritz.compute.uncertainty.propagation.rungs import Rung, SolvedRung
from ritz.tasks.bridging.parameters import InputParameters, ParameterLayout, Parameters, Vectors, numbers
from ritz.tasks.errors import InputError

if TYPE_CHECKING:
    import torch

Config = Mapping[str, Any]
"""What a client says beside the parameters."""


class NoAnswer(ValueError):
    """A sample has no good solution."""


@dataclass(frozen=True)
class _Level:
    """What answers on a grid."""

    rung: Rung
    layout: ParameterLayout

    @classmethod
    def of(cls, rung: Rung) -> _Level:
        return cls(rung, ParameterLayout.of(rung.problem))


@dataclass(frozen=True)
class Forward:
    """A model of UM-Bridge: from vectors of numbers to vectors of numbers, one sample per call.

    Of the config of a call it takes ``sample``, the id by which what the parameters leave open is drawn (0 where it is
    not given), and of what is solved ``coarsening``, the factor by which the grid has fewer cells along each axis (1).

    Attributes
    ----------
    rung
        What answers; its name is that of the model.
    parameters
        What the numbers are that are sent.
    quantities
        What is returned, one vector of them; without any it is the fields, one vector per output in C order.
    """

    rung: Rung
    parameters: Parameters
    quantities: tuple[Quantity, ...]
    _levels: dict[int, _Level] = field(default_factory=dict, repr=False, compare=False)
    """By the factor of the coarsening, those that were asked for."""

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.rung.name

    def input_names(self) -> tuple[str, ...]:
        """Return what the vectors are called that are sent."""
        return self.parameters.names(self._level({}).layout)

    def input_sizes(self, config: Config) -> list[int]:
        """Return the lengths of the vectors that are sent."""
        return self.parameters.sizes(self._level(config).layout)

    def output_names(self) -> tuple[str, ...]:
        """Return what is returned: the quantities, or the outputs whose fields it is."""
        return tuple(one.name for one in self.quantities) or tuple(self._level({}).layout.outputs)

    def output_sizes(self, config: Config) -> list[int]:
        """Return the lengths of the vectors that are returned."""
        outputs = self._level(config).layout.outputs
        return [len(self.quantities)] if self.quantities else [math.prod(shape) for shape in outputs.values()]

    def __call__(self, vectors: Vectors, config: Config) -> list[list[float]]:
        """Answer one sample.

        Raises
        ------
        InputError
            If a number or an entry of the config is not what is expected of it.
        NoAnswer
            If the sample has no good solution.
        """
        level = self._level(config)
        problem = level.rung.problem
        inputs = self.parameters.inputs(problem, level.layout, vectors, config.get("sample", 0))
        fields = {name: values.astype(np.float64) for name, values in level.rung.fields(inputs).items()}
        if self.quantities:
            found = [[float(one.value(problem, inputs, fields)[0]) for one in self.quantities]]
        else:
            found = [fields[name].reshape(-1).tolist() for name in level.layout.outputs]
        if not all(np.isfinite(vector).all() for vector in found):
            raise NoAnswer(f"model {self.name!r} has no good solution of this sample")
        return found

    def differentiable(self) -> bool:
        """Return whether it has derivatives: where what is sent are the inputs of a problem that is solved."""
        from ritz.compute.simulation.differentiation.derivatives import undifferentiable

        rung = self.rung
        return (
            isinstance(rung, SolvedRung)
            and isinstance(self.parameters, InputParameters)
            and not undifferentiable(rung.problem)
        )

    def gradient(self, output: int, by: int, vectors: Vectors, weights: Sequence[float], config: Config) -> list[float]:
        """Return ``wᵀ ∂f/∂x`` of one sample, by one adjoint solve.

        Parameters
        ----------
        output, by
            Which of the vectors that are returned is f, and which of those that are sent is x.
        vectors, config
            As of a call.
        weights
            w, a number for each of f.

        Raises
        ------
        InputError
            If a number or an entry of the config is not what is expected of it.
        NoAnswer
            If the sample, or the adjoint system, has no good solution.
        """
        import torch

        given, name = self._given(by, vectors, config)
        w = torch.from_numpy(numbers(weights, "sens"))
        leaf = given[name].requires_grad_()
        answered = self._answered(given, output, config)
        with self._answering():
            (found,) = torch.autograd.grad(answered, leaf, w, materialize_grads=True)
        values: list[float] = found.reshape(-1).tolist()
        return values

    def along(self, output: int, by: int, vectors: Vectors, way: Sequence[float], config: Config) -> list[float]:
        """Return ``∂f/∂x v`` of one sample, by one more solve; v is ``way``, the rest as in `gradient`."""
        import torch
        from torch.autograd import forward_ad

        given, name = self._given(by, vectors, config)
        v = torch.from_numpy(numbers(way, "vec")).reshape(given[name].shape)
        with forward_ad.dual_level():
            moved = {**given, name: forward_ad.make_dual(given[name], v)}
            change = forward_ad.unpack_dual(self._answered(moved, output, config)).tangent
        size = self.output_sizes(config)[output]
        values: list[float] = [0.0] * size if change is None else change.reshape(-1).tolist()
        return values

    def _given(self, by: int, vectors: Vectors, config: Config) -> tuple[dict[str, torch.Tensor], str]:
        """Return the inputs of a sample as tensors, and the name of one of them."""
        import torch

        level = self._level(config)
        inputs = self.parameters.inputs(level.rung.problem, level.layout, vectors, config.get("sample", 0))
        return {name: torch.from_numpy(values) for name, values in inputs.items()}, list(level.layout.inputs)[by]

    def _answered(self, inputs: dict[str, torch.Tensor], output: int, config: Config) -> torch.Tensor:
        """Return one of the vectors that a call returns, as a function of the inputs that torch differentiates."""
        import torch

        from ritz.compute.simulation.implicit import implicit_solve

        level = self._level(config)
        rung = level.rung
        assert isinstance(rung, SolvedRung)
        with self._answering():
            fields = implicit_solve(rung.problem, inputs, solver=rung.solver, rtol=rung.rtol)
        if not self.quantities:
            return fields[list(level.layout.outputs)[output]].reshape(-1)
        return torch.cat([one.value(rung.problem, inputs, fields) for one in self.quantities])

    @contextmanager
    def _answering(self) -> Iterator[None]:
        from ritz.compute.simulation.implicit import Unsolved

        try:
            yield
        except Unsolved as error:
            raise NoAnswer(f"model {self.name!r} has no good solution of this sample: {error}") from error

    def _level(self, config: Config) -> _Level:
        """Return what answers a call, whose config is checked."""
        known = {"sample": 0, "coarsening": 1} if isinstance(self.rung, SolvedRung) else {"sample": 0}
        if unknown := set(config) - set(known):
            raise InputError(f"config has {sorted(unknown)[0]!r}, expected one of {', '.join(known)}")
        for name, least in known.items():
            value = config.get(name, least)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"config.{name} is {value!r}, expected a whole number of at least {least}")
        factor = config.get("coarsening", 1)
        if factor not in self._levels:
            self._levels[factor] = _Level.of(self._coarsened(factor))
        return self._levels[factor]

    def _coarsened(self, factor: int) -> Rung:
        if not isinstance(self.rung, SolvedRung) or factor == 1:
            return self.rung
        coarse = coarsened(self.rung.problem, factor)
        if isinstance(coarse, str):
            raise InputError(f"config.coarsening is {factor}: {coarse}")
        return replace(self.rung, problem=coarse)
