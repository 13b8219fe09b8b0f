"""Ritz's solvers as rows of the tables."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter, ValidationError

from benchmarks.method import Answer, Method, Step
from ritz.compute.solvers.catalogue import AnySolver
from ritz.compute.solvers.solver import Solver
from ritz.compute.solvers.systems import Systems


class Own(Method):
    """A solver of Ritz with its carry; the clock also holds the check of the true residual, which it always does.

    Parameters
    ----------
    solver
        What solves.
    rtol
        Largest true relative residual.
    """

    group = "ritz"
    reuses = True
    carries = True
    compiles = True

    def __init__(self, solver: Solver, rtol: float) -> None:
        settings = solver.model_dump(mode="json", exclude={"kind"}, exclude_defaults=True)
        self.name = " ".join(["Ritz", solver.kind, *(f"{name}={value}" for name, value in settings.items())])
        self.solver, self.rtol = solver, rtol

    def begin(self, step: Step) -> None:
        del step
        self.restart()

    def restart(self) -> None:
        self.carry: Any = None

    def solve(self, step: Step) -> Answer:
        start = time.process_time()
        solutions, self.carry = self.solver.solve(step.systems, rtol=self.rtol, carry=self.carry)
        seconds = time.process_time() - start
        ledger = solutions.ledger
        helped = sorted({name for name in ledger["solver"] if name != self.solver.kind})
        failed = sorted({reason for reason in ledger["reason"] if reason})
        return Answer(
            solutions.x.reshape(len(step.rhs), -1),
            seconds,
            iterations=sum(ledger["iterations"]) / len(step.rhs) if self.solver.kind != "direct" else None,
            note=", ".join([*(f"answered by {name}" for name in helped), *failed]),
        )


def methods(recipes: Iterable[dict[str, Any]], systems: Systems, rtol: float) -> tuple[list[Own], dict[str, str]]:
    """Build the solvers that can solve such systems; return them and, by name, what keeps the others from it."""
    found: list[Own] = []
    absent = {}
    for recipe in recipes:
        try:
            solver: Solver = TypeAdapter(AnySolver).validate_python(recipe)
        except ValidationError as error:
            absent["Ritz " + " ".join(map(str, recipe.values()))] = error.errors()[0]["msg"]
            continue
        method = Own(solver, rtol)
        if reason := solver.unfit(systems):
            absent[method.name] = reason
        else:
            found.append(method)
    return found, absent
