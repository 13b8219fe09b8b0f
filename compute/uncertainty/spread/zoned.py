from __future__ import annotations

from abc import ABC

import numpy as np

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.uncertainty.spread.spread import FittedSpread
from ritz.compute.uncertainty.zones import zones


class Zoned(FittedSpread, ABC):
    """Widths with factors of their own for each ring of cells from the walls of a grid inwards.

    Attributes
    ----------
    dimensions
        Of all variables; None if they all have the axes of space and no others.
    by_zone
        Whether the rings have factors of their own.
    """

    dimensions: Dimensions | None = None
    by_zone: bool = True

    @property
    def zoned(self) -> bool:
        """Whether there is more than one zone: a mesh has no rings."""
        return self.by_zone and not (self.dimensions is not None and self.dimensions.mesh)

    def zones(self, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
        """Return the rings of cells around a grid, by doubling distances from the walls; see `FittedSpread.zones`."""
        return zones(name, shape, self.dimensions) if self.zoned else None
