from benchmarks.choice import BLOCK, contest
from benchmarks.families import posed
from ritz.compute.problems.darcy import Darcy
from ritz.compute.solvers.choice.auto import Auto
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.transform.transform import Transform


def test_who_is_not_the_best_has_spent_its_time_without_finishing():
    systems = posed(Darcy(shape=(12, 12)), 4 * BLOCK)
    solvers = Direct(library="superlu"), Transform()
    recipes = [solver.model_dump(mode="json") for solver in solvers]
    auto = Auto(candidates=solvers)
    outcome = contest(systems.take(slice(3 * BLOCK)), systems.take(slice(3 * BLOCK, None)), auto, recipes)
    assert outcome.best is not None
    assert outcome.best.done == outcome.chosen.done == 3 * BLOCK
    for lane in outcome.others:
        assert lane.seconds >= outcome.best.seconds
    assert outcome.probe > 0
    assert outcome.ratio == (outcome.probe + outcome.chosen.seconds) / outcome.best.seconds
