from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.fields.arrays import Array
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import Fault, Kind, in_units
from ritz.compute.problems.problem import Arrays, Problem, Solve

if TYPE_CHECKING:
    from typing import NoReturn

    import xarray as xr

FEATURES = 16
"""Means over parts of the inputs that stand for a sample."""

Word = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=100)]
"""Name of a variable or a dimension."""

Text = Annotated[str, Field(max_length=1000)]


class Along(Kind):
    """The points of a dimension: evenly spaced from ``first`` to ``last``, or at ``values``, or without coordinates."""

    name: Word
    """Name of the dimension."""
    count: int = Field(ge=1, json_schema_extra=in_units("points"))
    """Points along it."""
    axis: Literal["X", "Y", "Z", "T", ""] = ""
    """Which axis of space it is, ``"T"`` for time; empty for channels."""
    first: float | None = None
    """Coordinate of the first point, in ``units``."""
    last: float | None = None
    """Coordinate of the last one."""
    values: tuple[float, ...] = ()
    """Coordinates of all points, where they are not evenly spaced."""
    units: Text = "1"
    """Units of the coordinates."""
    long_name: Text = ""
    """What it is, in words."""

    def faults(self) -> Iterator[Fault]:
        """Yield coordinates that do not go with the number of points; see `Kind.faults`."""
        if (self.first is None) != (self.last is None):
            yield Fault(("first", "last"), f"first is {self.first} and last {self.last}, expected both or neither")
        if self.values and len(self.values) != self.count:
            yield Fault(("values", "count"), f"values has {len(self.values)} numbers, expected count = {self.count}")

    @property
    def coordinates(self) -> np.ndarray | None:
        """Where the points lie, ``(count,)`` float64; None without coordinates."""
        if self.values:
            return np.array(self.values, np.float64)
        return None if self.first is None or self.last is None else np.linspace(self.first, self.last, self.count)

    @classmethod
    def at(cls, name: str, points: np.ndarray, axis: str, units: str, long_name: str = "") -> Along:
        """Return the dimension with its points at ``points`` ``(count,)``, in the shortest form.

        Points within 1e-6 of their spacing of evenly spaced ones are taken as these: so far are they rounded in files.
        """
        first, last, count = float(points[0]), float(points[-1]), len(points)
        even = np.linspace(first, last, count)
        spacing = abs(last - first) / max(1, count - 1)
        place: dict[str, object] = {"first": first, "last": last}
        if not np.allclose(points, even, rtol=0, atol=1e-6 * spacing + 4e-7 * float(np.abs(points).max())):
            place = {"values": tuple(float(one) for one in points)}
        about = {"name": name, "count": count, "axis": axis, "units": units, "long_name": long_name or name}
        return cls.model_validate(about | place)


class Stored(Kind):
    """A variable of samples that were solved elsewhere."""

    name: Word
    """Its name in the dataset."""
    role: Literal["input", "output"]
    """What it is to a surrogate."""
    dims: tuple[Word, ...]
    """Its dimensions after the sample, each of ``External.along``; none for a number per sample."""
    transform: Literal["identity", "log"] = "identity"
    """What a surrogate sees of it."""
    units: Text = "1"
    """Its units."""
    long_name: Text = ""
    """What it is, in words."""


class External(Problem):
    """Samples that Ritz did not solve: imported from files, with what is known of their variables.

    Equation
        Not known. `ritz audit NAME --as PROBLEM` measures whether samples solve the equations of a problem.
    Discretisation
        That of whoever solved them, of an order that is not known.
    Arrays
        The variables as they are listed, along the dimensions as they are listed, with their units.

    Everything behind the solver works on it. It cannot be drawn, solved or checked: what would do so raises ValueError
    with one line. `ritz import` grows its dataset by further files.
    """

    in_torch: ClassVar[bool] = False

    kind: Literal["external"] = "external"
    origin: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of what fixes the samples: how they were read, and the digests of the files that were imported first."""
    along: tuple[Along, ...] = Field(min_length=1)
    """The dimensions of the variables."""
    variables: tuple[Stored, ...] = Field(min_length=2)
    """The variables, in order."""
    symmetries: Literal["none", "flips", "square"] = "none"
    """Transformations of the grid under which a sample stays one, said by whoever imported them."""
    dtype: Literal["float32", "float64"] = "float32"
    """Stored floating-point type."""

    def faults(self) -> Iterator[Fault]:
        """Yield names that come twice or are unknown, and what is nothing to learn; see `Kind.faults`."""
        known, names = [one.name for one in self.along], [one.name for one in self.variables]
        for field, given in (("along", known), ("variables", names)):
            twice = sorted({name for name in given if given.count(name) > 1})
            if twice:
                yield Fault((field,), f"{field} has {twice[0]!r} more than once, expected each name once")
                return
        for one in self.variables:
            for dim in one.dims:
                if dim not in known:
                    yield Fault(
                        ("variables", "along"),
                        f"variable {one.name!r} has the dimension {dim!r}, expected dimensions among {known}",
                    )
                    return
        roles = {one.role for one in self.variables}
        if roles != {"input", "output"}:
            yield Fault(("variables",), f"all variables have the role {min(roles)!r}, expected inputs and outputs")
            return
        try:
            Dimensions.of(self.template(1))
        except ValueError as error:
            yield Fault(("variables", "along"), str(error))

    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples; see `Problem.template`."""
        import xarray as xr

        sizes = {one.name: one.count for one in self.along}
        data = {}
        for one in self.variables:
            nothing = np.broadcast_to(np.dtype(self.dtype).type(np.nan), (n, *(sizes[dim] for dim in one.dims)))
            about = {"role": one.role, "transform": one.transform, "units": one.units}
            data[one.name] = (("sample", *one.dims), nothing, about | {"long_name": one.long_name or one.name})
        coordinates = {}
        for dim in self.along:
            points = dim.coordinates
            if points is not None:
                about = {"units": dim.units, "long_name": dim.long_name or dim.name}
                coordinates[dim.name] = (dim.name, points, about | ({"axis": dim.axis} if dim.axis else {}))
        return xr.Dataset(data, coords=coordinates, attrs={"symmetries": self.symmetries})

    def unsolvable(self) -> str:
        """Return that it was solved elsewhere; see `Problem.unsolvable`."""
        return "its samples were not solved by Ritz"

    def unlinearisable(self) -> str:
        """Return that there are no equations; see `Problem.unlinearisable`."""
        return f"{self.unsolvable()}, and their equations are not known"

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Refuse: inputs are stored, not drawn; read them from the dataset."""
        del seed
        self._refuse(f"the inputs of sample {ids[0] if len(ids) else '-'} are read from the dataset, not drawn")

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return means over equal parts of the inputs, of the logarithm where a surrogate sees that.

        Parameters
        ----------
        inputs
            ``(n, *dims)`` by name.

        Returns
        -------
        features
            ``(n, d)`` float32, d ≤ 16.
        """
        named = [one for one in self.variables if one.role == "input"]
        each = max(1, FEATURES // len(named))
        columns = []
        for one in named[:FEATURES]:
            values = inputs[one.name].reshape(len(inputs[one.name]), -1).astype(np.float64)
            seen = np.log(values) if one.transform == "log" else values
            columns += [part.mean(axis=1) for part in np.array_split(seen, min(each, seen.shape[1]), axis=1)]
        return np.stack(columns, axis=1).astype(np.float32)

    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        """Refuse: nothing is known that could be solved."""
        del inputs, solve
        self._refuse("there are no equations to solve")

    def equations(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> dict[str, Array]:
        """Refuse: the equations are not known."""
        del inputs, fields
        self._refuse("its equations are not known; `ritz audit NAME --as PROBLEM` takes those of a problem")

    def scale(self, inputs: Mapping[str, Array]) -> Array:
        """Refuse: the equations are not known."""
        del inputs
        self._refuse("its equations are not known; `ritz audit NAME --as PROBLEM` takes those of a problem")

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Refuse: the equations are not known."""
        del inputs, fields
        self._refuse("its equations are not known; `ritz audit NAME --as PROBLEM` takes those of a problem")

    def _refuse(self, why: str) -> NoReturn:
        raise ValueError(f"problem {self.kind!r}: {self.unsolvable()}: {why}")
