"""Fields of a problem as differentiable functions of its inputs in torch."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.simulation.differentiation.answers import Answers
from ritz.compute.simulation.differentiation.derivatives import pulled_back, pushed_forward, undifferentiable
from ritz.compute.simulation.differentiation.variables import Variables
from ritz.compute.simulation.simulate import simulate_along
from ritz.compute.solvers.solver import Ledger, Solver, check_tolerance

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

_FEW = 5
"""Samples that a message names."""

_UNSURE = 1e-2
"""Product of tolerance and condition from which on digits of a derivative are lost."""


class Unsolved(ArithmeticError):
    """Samples have no good answer: of their fields, or of the systems of a derivative."""


@dataclass
class Leg:
    """What the solves of one direction took, and what they hand on.

    Attributes
    ----------
    carry
        State of the solver, for the next call.
    samples
        Positions in the batch of the samples that were solved for last: a derivative leaves out those whose cotangent,
        or tangent, is zero.
    ledger
        One row for each of them; None before the first solve, and where a derivative poses no systems.
    condition
        For each of them what the condition number of its systems is at least, with columns scaled to a unit diagonal:
        ``‖D x‖ / ‖b‖`` of the last answers with the diagonal D; of derivatives alone. Near a resonance, or a singular
        matrix, it comes close to that number, and tolerance times condition is what may be wrong of a derivative.
    """

    carry: Any = None
    samples: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    ledger: Ledger | None = None
    condition: np.ndarray = field(default_factory=lambda: np.empty(0))


@dataclass
class SolveSequence:
    """State of a sequence of calls of `implicit_solve` on systems that are alike, such as the steps of an optimiser.

    What a solver carries from system to system (a recycled space, an analysis of the pattern, what `Auto` has chosen)
    goes on from call to call, separately for fields, tangents and adjoints. It is changed by every call.
    """

    fields: Leg = field(default_factory=Leg)
    tangents: Leg = field(default_factory=Leg)
    adjoints: Leg = field(default_factory=Leg)


def implicit_solve(
    problem: Problem,
    inputs: Mapping[str, torch.Tensor],
    *,
    solver: Solver,
    rtol: float = 1e-8,
    adjoint: Solver | None = None,
    failed: Literal["raise", "nan"] = "raise",
    sequence: SolveSequence | None = None,
) -> dict[str, torch.Tensor]:
    """Solve a problem for some samples, so that torch differentiates the fields by the inputs.

    The fields u of a steady problem solve ``F(x, u) = 0``, its `Problem.equations`. Backward is one solve of the
    adjoint systems ``(∂F/∂u)ᵀ λ = g`` with the cotangent g, and ``−λᵀ ∂F/∂x`` by autograd of the equations; forward
    differentiation solves ``∂F/∂u u̇ = −∂F/∂x ẋ``. Nothing is differentiated through the iterations of a solver, or
    through those of Newton's method. ``∂F/∂u`` is what the problem assembles, else it comes of coloured derivatives;
    whether it is the derivative of the equations is tested along λ, or u̇, of the first sample every time.

    An `Evolution` is differentiated step by step backwards, one adjoint system per step; its stored states are the
    checkpoints. Explicit steps (`Marching`) pose no systems: autograd goes through `Marching.again` from one stored
    state to the one before, in segments of √store_every steps.

    Parameters
    ----------
    problem
        Whose equations take torch tensors.
    inputs
        Every input of the problem, ``(n, *dims)`` float32 or float64, all on one device. Solves are done in float64 on
        the CPU.
    solver
        Answers the systems. `Auto` measures its candidates in every call, or once in a ``sequence``.
    rtol
        Largest true relative residual of a good answer, also to the systems of derivatives.
    adjoint
        Answers the systems of derivatives; by default ``solver``.
    failed
        What becomes of a sample without a good answer: ``"raise"``, or ``"nan"`` in all its fields, or its gradient.
    sequence
        Goes on from call to call, with ledgers and conditions of the last; by default every call begins anew.

    Returns
    -------
    fields
        ``(n, *dims)`` for every output, in the widest dtype of the inputs and on their device. First derivatives only:
        backward, and forward (`torch.autograd.forward_ad`, `torch.func.jvp`).

    Raises
    ------
    ValueError
        If the problem has no derivatives, inputs are not those of the problem, or not finite; while differentiating, if
        a cotangent or tangent is not finite, or the solver cannot work on the systems.
    TypeError
        If an input is no tensor, or not of float32 or float64.
    Unsolved
        If a sample has no good answer; while differentiating too, as where the systems are singular.

    Notes
    -----
    Where ``∂F/∂u`` is singular fields have no derivative. If systems are singular and still have solutions, a solver
    returns one of them, and the gradient is one along changes that leave them solvable. Near a resonance, at a
    distance μ of the nearest eigenvalue from zero, gradients are of the order of 1/μ²: `Leg.condition` tells, and the
    log warns from where ``rtol`` leaves no two digits.

    Source: the implicit function theorem; A. Griewank, A. Walther, "Evaluating Derivatives", SIAM, 2nd ed. (2008),
    chapters 12 and 15.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from ritz.compute.problems.darcy import Darcy
    >>> from ritz.compute.solvers.multigrid.multigrid import Multigrid
    >>> darcy = Darcy(shape=(8, 8))
    >>> a = torch.tensor(darcy.draw(0, np.arange(2))["a"], requires_grad=True)
    >>> u = implicit_solve(darcy, {"a": a}, solver=Multigrid())["u"]
    >>> u.mean().backward()
    >>> a.grad.shape
    torch.Size([2, 8, 8])
    """
    from ritz.compute.simulation.differentiation.autograd import Solved

    check_tolerance(rtol)
    if reason := undifferentiable(problem):
        raise ValueError(f"fields of problem {problem.kind!r} cannot be differentiated: {reason}")
    variables = Variables.of(problem)
    dtype, device = _checked(problem, variables, inputs)
    task = Task(problem, variables, solver, adjoint or solver, rtol, failed, sequence or SolveSequence())
    wide = [inputs[name].cpu().double() for name in variables.inputs]
    found = Solved.apply(task, *wide)  # type: ignore[no-untyped-call]  # of torch
    return {name: values.to(device, dtype) for name, values in zip(variables.outputs, found, strict=True)}


@dataclass(frozen=True)
class Task:
    """A call of `implicit_solve`: what is solved, by what, and whose state goes on. All arrays are float64."""

    problem: Problem
    variables: Variables
    solver: Solver
    adjoint: Solver
    rtol: float
    failed: Literal["raise", "nan"]
    sequence: SolveSequence

    whats: ClassVar[dict[str, str]] = {"tangents": "systems of tangents", "adjoints": "adjoint systems"}

    def solved(self, inputs: Arrays) -> Arrays:
        """Return the fields of samples."""
        for name, values in inputs.items():
            if len(lost := _rows(~np.isfinite(values))):
                raise ValueError(f"input {name!r} is not finite in {_samples(lost)}, expected finite numbers")
        leg = self.sequence.fields
        fields, leg.ledger, leg.carry = simulate_along(self.problem, inputs, self.solver, self.rtol, leg.carry)
        leg.samples = np.arange(len(leg.ledger["status"]))
        self._refuse_failed("fields", leg, self.solver)
        return fields

    def gradient(self, inputs: Arrays, fields: Arrays, cotangents: Arrays, wanted: tuple[str, ...]) -> Arrays:
        """Return cotangents of all outputs times the derivatives by the inputs that are wanted."""
        rows = self._moving("cotangent", cotangents)
        given, state, g = (_taken(one, rows) for one in (inputs, fields, cotangents))
        found = {name: np.zeros(inputs[name].shape) for name in wanted}
        if len(rows):
            answers = self._answers("adjoints", rows)
            for name, values in pulled_back(self.problem, given, state, g, wanted, answers).items():
                found[name][rows] = values
            self._note("adjoints", rows, answers)
        return found

    def change(self, inputs: Arrays, fields: Arrays, tangents: Arrays) -> Arrays:
        """Return the change of the fields along that of some inputs."""
        rows = self._moving("tangent", tangents)
        given, state, way = (_taken(one, rows) for one in (inputs, fields, tangents))
        found = {name: np.zeros(values.shape) for name, values in fields.items()}
        if len(rows):
            answers = self._answers("tangents", rows)
            for name, values in pushed_forward(self.problem, given, state, way, answers).items():
                found[name][rows] = values
            self._note("tangents", rows, answers)
        return found

    def _moving(self, what: str, vectors: Arrays) -> np.ndarray:
        """Return the samples whose vectors are not zero; refuse numbers that are not finite."""
        moving = np.zeros(len(next(iter(vectors.values()))), dtype=bool)
        for name, values in vectors.items():
            if len(lost := _rows(~np.isfinite(values))):
                raise ValueError(
                    f"the {what} of {name!r} is not finite in {_samples(lost)}, expected finite numbers: look at what "
                    "is computed of the fields"
                )
            moving[_rows(values != 0)] = True
        return np.flatnonzero(moving)

    def _answers(self, direction: Literal["tangents", "adjoints"], rows: np.ndarray) -> Answers:
        leg: Leg = getattr(self.sequence, direction)
        what = f"{self.whats[direction]} of problem {self.problem.kind!r}"
        return Answers(self.adjoint, self.rtol, leg.carry, len(rows), what)

    def _note(self, direction: Literal["tangents", "adjoints"], rows: np.ndarray, answers: Answers) -> None:
        leg: Leg = getattr(self.sequence, direction)
        leg.carry, leg.samples, leg.ledger, leg.condition = answers.carry, rows, answers.ledger, answers.condition
        self._refuse_failed(self.whats[direction], leg, self.adjoint)
        unsure = np.flatnonzero(self.rtol * leg.condition > _UNSURE)
        if len(unsure):
            log.warning(
                "%s of problem %r: the condition is at least %.1e in %s, and rtol is %.1e, so that derivatives there "
                "may have no two digits right; expected a smaller rtol, or inputs farther from singular systems",
                *(self.whats[direction], self.problem.kind, leg.condition.max(), _samples(rows[unsure]), self.rtol),
            )

    def _refuse_failed(self, what: str, leg: Leg, solver: Solver) -> None:
        if leg.ledger is None or self.failed == "nan":
            return
        lost = [i for i, status in enumerate(leg.ledger["status"]) if status != "ok"]
        if lost:
            residual, reason = leg.ledger["residual"][lost[0]], leg.ledger["reason"][lost[0]]
            raise Unsolved(
                f"{what} of problem {self.problem.kind!r}: no good answer by solver {solver.kind!r} to rtol "
                f"{self.rtol:g} in {_samples(leg.samples[lost])} ({reason}, residual {residual:.1e} in the first); "
                "expected systems that are far from singular, another solver, or failed='nan'"
            )


def _checked(
    problem: Problem, variables: Variables, inputs: Mapping[str, torch.Tensor]
) -> tuple[torch.dtype, torch.device]:
    """Return the widest dtype of inputs and their device; refuse what are not the inputs of the problem."""
    import torch

    if set(inputs) != set(variables.inputs):
        raise ValueError(
            f"inputs are {sorted(inputs)}, expected those of problem {problem.kind!r}: {sorted(variables.inputs)}"
        )
    counts = {}
    for name, shape in variables.inputs.items():
        values = inputs[name]
        if not isinstance(values, torch.Tensor):
            raise TypeError(f"input {name!r} is of {type(values).__name__}, expected a torch tensor")
        if values.dtype not in (torch.float32, torch.float64):
            raise TypeError(f"input {name!r} has dtype {values.dtype}, expected torch.float32 or torch.float64")
        if values.ndim == 0 or values.shape[1:] != shape:
            expected = ", ".join(map(str, ("n", *shape)))
            raise ValueError(f"input {name!r} has shape {tuple(values.shape)}, expected ({expected})")
        counts[name] = len(values)
    if len(set(counts.values())) > 1 or 0 in counts.values():
        raise ValueError(f"inputs have {counts} samples, expected one number of them, at least one")
    devices = {name: str(inputs[name].device) for name in variables.inputs}
    if len(set(devices.values())) > 1:
        raise ValueError(f"inputs lie on {devices}, expected one device")
    first = next(iter(inputs.values()))
    return functools.reduce(torch.promote_types, (values.dtype for values in inputs.values())), first.device


def _taken(arrays: Arrays, rows: np.ndarray) -> Arrays:
    """Return some samples of arrays, which are not copied where it is all."""
    return {name: values if len(rows) == len(values) else values[rows] for name, values in arrays.items()}


def _rows(mask: np.ndarray) -> np.ndarray:
    """Return the samples of which a mask ``(n, *dims)`` holds anywhere."""
    return np.flatnonzero(mask.reshape(len(mask), -1).any(axis=1))


def _samples(rows: np.ndarray) -> str:
    """Return samples in words, a few of them by their positions."""
    named = ", ".join(str(row) for row in rows[:_FEW]) + (", …" if len(rows) > _FEW else "")
    return f"{'sample' if len(rows) == 1 else f'{len(rows)} samples:'} {named}"
