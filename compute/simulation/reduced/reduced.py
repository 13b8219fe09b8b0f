"""Reduced models of linear steady problems: their equations, solved in the span of a few modes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Kind, Source, in_units
from ritz.compute.problems.box.walls import LinearInBox
from ritz.compute.simulation.reduced.dictionary import Dictionary, Dissimilarity

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Arrays, Problem
    from ritz.compute.solvers.operators import Operators
    from ritz.compute.solvers.systems import Systems


@dataclass(frozen=True, eq=False)
class ReducedModel:
    """Answers samples of a problem in the span of a basis, chosen by their features. Made by `ReducedBases.fit`.

    Attributes
    ----------
    problem
        Poses the systems.
    dictionary
        The bases, and the choice among them.
    """

    problem: Problem
    dictionary: Dictionary

    def answer(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Solve ``Vᵀ A V y = Vᵀ b`` for each sample; the fields are ``V y``.

        Parameters
        ----------
        inputs
            ``(n, *dims)`` each, as drawn.

        Returns
        -------
        fields
            Outputs ``(n, *dims)`` in float64; all NaN for a sample whose reduced matrix is singular. Where A is not
            definite, as of waves, they can be far from the nearest point in the span.

        Raises
        ------
        ValueError
            If the problem poses other than one system per sample.
        """
        labels = self.dictionary.choose(self.problem.features(inputs))

        def solve(systems: Systems) -> np.ndarray:
            if len(systems) != len(labels):
                raise ValueError(
                    f"problem {self.problem.kind!r} posed {len(systems)} systems for {len(labels)} samples, expected "
                    "one per sample"
                )
            found = np.empty_like(systems.rhs)
            for i, label in enumerate(labels):
                basis = self.dictionary.bases[label]
                found[i] = galerkin(systems.operators, i, systems.rhs[i].ravel(), basis).reshape(found.shape[1:])
            return found

        return self.problem.simulate(inputs, solve)


class ReducedBases(Kind):
    """Reduced models by Galerkin projection on one global POD, or on local ones from a dictionary.

    The solutions of some samples, the snapshots, are clustered by k-medoids; every cluster has the modes of its own
    proper orthogonal decomposition, and a random forest on `Problem.features` chooses the basis of a new sample. With
    one cluster that is the global POD. The operators are those of the problem at the new inputs, on its own grid: what
    is saved is the solve, not the assembly nor the products with the modes, whose work grows with the grid.

    `benchmarks/bases.txt` has the figures. On the linear problems measured there a dictionary answers no better than
    one POD of as many modes of normalised snapshots, and reduced solves are not reliably quicker than the solvers at
    the same error, on a coarser grid where that is accurate enough. Of indefinite matrices (Helmholtz, acoustic) the
    answers of few modes are worse than zero. Local bases come nearer to the solutions of Burgers' equation, of which
    there is no reduced model here.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Daniel, Casenave, Akkari, Ketata, Ryckelynck",
            "Physics-informed cluster analysis and a priori efficiency criterion for the construction of local "
            "reduced-order bases",
            2021,
            "arXiv:2103.13683",
            "clusters by the sine of the angle give local bases with smaller projection errors than other clusters",
            "bases.txt",
        ),
        Source(
            "Daniel, Casenave, Akkari, Ryckelynck",
            "Model order reduction assisted by deep neural networks (ROM-net)",
            2020,
            "Advanced Modeling and Simulation in Engineering Sciences 7",
            "a classifier chooses the basis from a dictionary by the input",
            "bases.txt",
        ),
        Source(
            "Daniel, Casenave, Akkari, Ryckelynck, Rey",
            "Uncertainty quantification for industrial numerical simulation using dictionaries of reduced order models",
            2022,
            "Mechanics & Industry 23",
            "1008 draws more than 600 times as fast as a parallel solver, at errors of about 2 %",
            "bases.txt",
        ),
    )

    kind: Literal["reduced_bases"] = "reduced_bases"
    modes: int = Field(default=10, ge=1, le=1000, json_schema_extra=in_units("modes"))
    """Modes per basis, at most; a cluster of fewer snapshots has fewer."""
    clusters: int = Field(default=1, ge=1, le=1000, json_schema_extra=in_units("clusters"))
    """Local bases; 1 for a global one."""
    dissimilarity: Dissimilarity = "angle"
    """What tells snapshots apart: the sine of the angle between them, for solutions that differ by a factor, or their
    Euclidean distance."""
    normalise: bool = True
    """Whether snapshots have norm 1 before they are clustered and decomposed, so that large solutions do not count more
    than small ones; the publications leave them as they are."""

    def unfit(self, problem: Problem) -> str:
        """Return why there is no reduced model of a problem, in a few words; empty where there is."""
        if isinstance(problem, LinearInBox):
            return ""
        return f"problem {problem.kind!r} has no `matrices`: its equations are not linear and steady in a box"

    def fit(
        self, problem: Problem, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray], seed: int
    ) -> ReducedModel:
        """Build the bases from solved samples.

        Parameters
        ----------
        problem
            Poses the systems.
        inputs, fields
            ``(n, *dims)`` for every input and output of some solved samples.
        seed
            Of the random forest that chooses among bases; nothing else is random.

        Raises
        ------
        ValueError
            If the problem is unfit, there are fewer samples than ``modes`` or ``clusters``, or fields are not finite.
        """
        if reason := self.unfit(problem):
            raise ValueError(f"no reduced model: {reason}")
        return ReducedModel(problem, self.dictionary(snapshots(fields), problem.features(inputs), seed))

    def dictionary(self, snapshots: np.ndarray, features: np.ndarray, seed: int) -> Dictionary:
        """Return the bases of snapshots ``(n, values)`` of any problem, and the choice; see `Dictionary.fit`."""
        return Dictionary.fit(
            snapshots,
            features,
            modes=self.modes,
            clusters=self.clusters,
            dissimilarity=self.dissimilarity,
            normalise=self.normalise,
            seed=seed,
        )


def snapshots(fields: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return all outputs of every sample, times included, in a row: ``(n, values)`` float64."""
    rows = [values.reshape(len(values), -1) for values in fields.values()]
    return np.concatenate(rows, axis=1, dtype=np.float64)


def galerkin(operators: Operators, i: int, rhs: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Return ``V y`` of ``Vᵀ A V y = Vᵀ b``, flat; NaN where the reduced matrix is singular.

    Parameters
    ----------
    operators, i
        A is operator i.
    rhs
        b, ``(values,)``.
    basis
        V, ``(values, modes)``.
    """
    try:
        y = np.linalg.solve(basis.T @ (operators.csr(i) @ basis), basis.T @ rhs)
    except np.linalg.LinAlgError:
        return np.full_like(rhs, np.nan)
    found: np.ndarray = basis @ y
    return found
