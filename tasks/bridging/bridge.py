from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ritz.compute.document import DocumentPart, Json
from ritz.storage.wording import shown
from ritz.tasks.bridging.forward import Forward
from ritz.tasks.bridging.parameters import CoordinateParameters, InputParameters, Parameters, natural
from ritz.tasks.errors import InputError

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Problem
    from ritz.compute.solvers.solver import Solver
    from ritz.compute.surrogates.model import Model
    from ritz.tasks.parsing.plain import Overrides

Asked = Literal["inputs", "coordinates"]
"""Which parameters are asked for."""


class BridgedModel(DocumentPart):
    """A model that is served.

    Attributes
    ----------
    name
        By which a client asks for it.
    inputs, outputs
        What the vectors are called that are sent and returned. The quantities that are returned make one vector.
    input_sizes, output_sizes
        Lengths of the vectors.
    """

    name: str
    inputs: tuple[str, ...]
    input_sizes: tuple[int, ...]
    outputs: tuple[str, ...]
    output_sizes: tuple[int, ...]


class Bridge(DocumentPart):
    """What `ritz bridge` serves.

    Attributes
    ----------
    url
        Where.
    source
        The recipe, or ``NAME@VERSION`` of the model.
    parameters
        What is sent: ``"inputs"`` or ``"coordinates"``.
    solver
        What solves the systems, and to which relative residual; None where nothing is solved.
    models
        All that a client may ask for.
    """

    url: str
    source: str
    parameters: Asked
    solver: Json | None
    rtol: float
    models: tuple[BridgedModel, ...]


@dataclass(frozen=True)
class BridgedSubject:
    """The problem of a recipe or of a model, and how it is drawn and solved.

    Attributes
    ----------
    source
        The recipe, or ``NAME@VERSION`` of the model.
    model
        None of a recipe.
    """

    source: str
    problem: Problem
    seed: int
    rtol: float
    solver: Solver
    model: Model | None


def subject(name: str, changes: Overrides, store_url: str) -> BridgedSubject:
    """Return what is served: a shipped recipe by its name or a file by its path, else a model of the store.

    Raises
    ------
    ritz.tasks.errors.RecipeError
        If the recipe is none.
    ritz.storage.errors.StorageError
        If its solver needs an artefact that is not in the store.
    InputError
        If a model is to be changed, or there is none of this name, or its problem is not installed here.
    """
    from ritz.storage.errors import Unknown
    from ritz.storage.store import Store
    from ritz.tasks.equipping import equipped
    from ritz.tasks.recipes import is_recipe, load, names

    if is_recipe(name):
        pipeline = load(name, changes, stages=())
        solver = equipped(pipeline.solver, Store(store_url))
        return BridgedSubject(name, pipeline.problem, pipeline.data.seed, pipeline.data.rtol, solver, None)
    if changes:
        raise InputError(f"--set changes fields of a recipe, and {shown(name)} is a model: expected one or the other")
    try:
        return _of_model(name, store_url)
    except Unknown as error:
        raise InputError(f"{error}; the shipped recipes are {', '.join(names())}") from None


def _of_model(spec: str, store_url: str) -> BridgedSubject:
    from ritz.compute.solvers.choice.auto import Auto
    from ritz.storage.store import Store
    from ritz.tasks.parsing.recorded_problem import problem_of
    from ritz.tasks.pipeline import Data
    from ritz.tasks.prediction.trained_model import load

    trained = load(Store(store_url), spec)
    problem, data = problem_of(trained.card.recipe), Data.model_validate(trained.card.recipe["data"])
    if problem is None:
        kind = (trained.card.recipe.get("problem") or {}).get("kind")
        raise InputError(f"the problem {shown(str(kind))} of model {trained.spec} is not installed here")
    return BridgedSubject(trained.spec, problem, data.seed, data.rtol, Auto(), trained.model)


def bridged(
    subject: BridgedSubject, quantities: Sequence[str], asked: Asked | None, leading: int | None
) -> tuple[list[Forward], Bridge]:
    """Return the models of a problem, and what is told of them; the URL is left empty.

    Parameters
    ----------
    subject
        The problem; with a model of the store its predictions are served too, and what one step of the problem's
        iteration makes of them where there is such a step.
    quantities
        As a command line gives them; the fields where there is none.
    asked
        Which parameters; None for those of `ritz.tasks.bridging.parameters.natural`.
    leading
        How many coordinates, the first ones; all by default.

    Raises
    ------
    InputError
        If a quantity or the parameters do not fit the problem.
    ritz.tasks.errors.RecipeError
        If a quantity is none.
    """
    from ritz.compute.uncertainty.propagation.rungs import CorrectedRung, PredictedRung, Rung, SolvedRung
    from ritz.tasks.parsing.asked_quantity import asked_quantities

    problem, model = subject.problem, subject.model
    parameters = _parameters(subject, asked, leading)
    wanted = asked_quantities(quantities)
    for one in wanted:
        if reason := one.unfit(problem):
            raise InputError(f"--quantity {one.name}: {reason}")
    rungs: list[Rung] = []
    solver = None if problem.unsolvable() else _solver(subject)
    if solver is not None:
        rungs.append(SolvedRung("solver", problem, solver, subject.rtol))
    if model is not None:
        rungs.append(PredictedRung("surrogate", problem, model))
        if not problem.uncorrectable():
            rungs.append(CorrectedRung("corrected", problem, model))
    forwards = [Forward(rung, parameters, wanted) for rung in rungs]
    return forwards, Bridge(
        url="",
        source=subject.source,
        parameters="coordinates" if isinstance(parameters, CoordinateParameters) else "inputs",
        solver=None if solver is None else solver.model_dump(mode="json"),
        rtol=subject.rtol,
        models=tuple(
            BridgedModel(
                name=one.name,
                inputs=one.input_names(),
                input_sizes=tuple(one.input_sizes({})),
                outputs=one.output_names(),
                output_sizes=tuple(one.output_sizes({})),
            )
            for one in forwards
        ),
    )


def _parameters(subject: BridgedSubject, asked: Asked | None, leading: int | None) -> Parameters:
    problem = subject.problem
    if (asked or natural(problem)) == "inputs":
        if leading is not None:
            raise InputError(f"--leading is {leading} with --parameters inputs, expected --parameters coordinates")
        return InputParameters()
    if not problem.leading:
        raise InputError(
            f"--parameters is 'coordinates', and the draws of problem {problem.kind!r} take none; expected 'inputs'"
        )
    count = problem.leading if leading is None else leading
    if not 1 <= count <= problem.leading:
        raise InputError(f"--leading is {count}, expected 1 to {problem.leading} coordinates of {problem.kind!r}")
    return CoordinateParameters(count, subject.seed)


def _solver(subject: BridgedSubject) -> Solver:
    """Return the solver of a subject; one that is measured to be the quickest where it is left open."""
    from ritz.compute.simulation.posing import first_systems
    from ritz.compute.solvers.choice.auto import Auto

    if not isinstance(subject.solver, Auto):
        return subject.solver
    systems = first_systems(subject.problem, subject.problem.draw(subject.seed, np.arange(4)))
    return subject.solver if systems is None else subject.solver.choose(systems, rtol=subject.rtol)[0]
