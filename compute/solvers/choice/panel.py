"""What sorting and carrying are worth on the systems at hand."""

from __future__ import annotations

from ritz.compute.solvers.choice.record import PanelRow
from ritz.compute.solvers.choice.timing import Contender, interleave
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.iterative.guard import Guard
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.solvers.iterative.recycler import Recycler
from ritz.compute.solvers.systems import Systems


def panel(
    systems_sorted: Systems,
    systems_unsorted: Systems,
    rtol: float,
    *,
    recycled: Recycled | None = None,
    limit: float = 30.0,
) -> tuple[PanelRow, ...]:
    """Measure what sorting and carrying are worth, whoever wins.

    Parameters
    ----------
    systems_sorted, systems_unsorted
        The same systems in the order of a shard and as they were drawn.
    rtol
        Largest true relative residual of a good answer.
    recycled
        What is compared with the direct solver; with its defaults if None. It carries without its guard.
    limit
        Seconds after which no further system is begun; where one in each way is expected to take longer, none is.

    Returns
    -------
    tuple of PanelRow
        Measured in turn system by system.
    """
    method, direct = (recycled or Recycled()).model_copy(update={"guard": False}), Direct()
    # Each of four ways to recycle and two without takes one system before its clock starts, and one at least after.
    costs = 8 * method.expected(systems_sorted), 4 * direct.expected(systems_sorted)
    if sum(costs) > limit:
        return ()
    # Without the carry no time goes into a space that nobody takes up.
    cold = Recycler(guard=Guard(phase="rest", left=2))
    contenders: list[Contender] = []
    named: list[dict[str, str]] = []
    for order, systems in (("sorted", systems_sorted), ("unsorted", systems_unsorted)):
        single = [systems.take(slice(i, i + 1)) for i in range(len(systems))]
        contenders += [
            Contender(method, single),
            Contender(method, single, False, cold),
            Contender(direct, single, False),
        ]
        named += [{"method": name, "order": order} for name in ("recycled, carry", "recycled, no carry", "direct")]
    interleave(contenders, rtol, limit=limit)
    return tuple(PanelRow(**one, **contender.summary()) for one, contender in zip(named, contenders, strict=True))
