from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ritz.compute.evaluation.quantities.quantity import FieldPlace, Quantity
from ritz.compute.fields.arrays import Array
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.box.walls import InBox

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Problem


class WallFlux(Quantity):
    """The flow −∫ a ∂u/∂n out through a wall of a box with u = 0 on it, half a cell from the outermost centres.

    Walls are named by the axis and the end of it: ``x_low``, ``x_high``, ``y_low`` and so on.
    """

    kind: Literal["flux"] = "flux"
    wall: str = Field(min_length=1)
    """Through which."""

    positional: ClassVar[tuple[str, ...]] = ("of", "wall")

    def unfit_for(self, problem: Problem, dimensions: Dimensions) -> str:
        """Refuse an unknown wall and a problem without a coefficient of the flow; see `Quantity.unfit_for`."""
        if not isinstance(problem, InBox) or not problem.conductivity:
            return f"the problem {problem.kind!r} names no input that is the coefficient of a flow through walls"
        walls = [f"{dim}_{end}" for dim in reversed(dimensions.space) for end in ("low", "high")]
        return "" if self.wall in walls else f"wall is {self.wall!r}, expected one of {walls}"

    def of_field(self, field: Array, place: FieldPlace) -> Array:
        """Return the flow of every sample; see `Quantity.of_field`."""
        assert isinstance(place.problem, InBox)
        dim, end = self.wall.split("_")
        axis = 1 + place.dimensions.space.index(dim)
        return flow(place.inputs[place.problem.conductivity], field, axis, end, field.ndim - 1)


def flow(a: Array, u: Array, axis: int, end: str, space: int) -> Array:
    """Return the flow −∫ a ∂u/∂n out through a wall of the unit box, per unit of its area, where u = 0 on it.

    Parameters
    ----------
    a, u
        ``(n, …, *shape)``, coefficient and field at the centres of the cells.
    axis
        Across which the wall lies.
    end
        Of the axis: ``"low"`` or ``"high"``.
    space
        How many axes are of space; the last ones.

    Returns
    -------
    flow
        ``(n, …)``.
    """
    at = (slice(None),) * axis + (0 if end == "low" else -1,)
    along = 2 * u.shape[axis] * a[at] * u[at]
    return along.reshape(*along.shape[: along.ndim - space + 1], -1).mean(-1)
