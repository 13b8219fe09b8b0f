from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.fields.arrays import Array, cast, double, like, namespace, select
from ritz.compute.kind import Source, in_units
from ritz.compute.problems.problem import Arrays, Problem, Solve
from ritz.compute.problems.sizes import joint_size
from ritz.compute.problems.slotted import slotted_plate, stiffness
from ritz.compute.solvers.operators import Matrices
from ritz.compute.solvers.scaling import norms
from ritz.compute.solvers.systems import Systems

if TYPE_CHECKING:
    import xarray as xr

_RANGES = {"level": (0.0, 100.0), "rise": (0.0, 100.0), "centre": (0.1, 0.9), "width": (0.1, 0.3)}
"""Every parameter is uniform between these, on each of the two walls by itself."""


class Plate(Problem):
    """A metal plate with two slots between a left and a right wall that are heated: steady temperature T.

    Equation
        −∇·(λ ∇T) = 0 with the conductivity λ = 1 W/(m K) on (0, 1)² m less two slots 1/8 wide, one from the bottom up
        to y = 5/8 between x = 1/4 and 3/8, one from the top down to y = 3/8 between x = 5/8 and 3/4. On the left wall
        x = 0 and on the right wall x = 1

            T(y) = level + rise · exp(−(y − centre)² / 2 width²)

        with four random numbers for each wall, uniform: level and rise in 0 … 100 K, centre in 0.1 … 0.9 m, width in
        0.1 … 0.3 m. Bottom, top and slots are insulated. T is linear in level and rise, not in centre and width.
    Discretisation
        Linear finite elements on triangles that get eight times finer towards the corners of the slots, where ∇T is
        unbounded; the mesh is made here (`ritz.compute.problems.slotted`). Second order in the length of the edges
        where T is smooth; 4/3 at the corners, by a factor smaller for the grading.
    Systems
        One matrix for all samples, symmetric and positive definite; only the right-hand side differs.
    Arrays
        Inputs ``level``, ``rise``, ``centre`` and ``width``, ``(sample, wall)``, the left wall first; output ``T``,
        ``(sample, node)``; all float32. Node i lies at ``(x[i], y[i])``, and the corners of the triangles are the
        nodes ``triangle``, ``(face, corner)``; both are coordinates. ``T`` holds the given temperatures too.

    Source: the thermal problem of Wang et al., "Accelerating data generation for neural operators via Krylov subspace
    recycling", ICLR 2024: one matrix, two random boundary temperatures; here they also vary along the walls.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Wang et al.",
            "Accelerating data generation for neural operators via Krylov subspace recycling",
            2024,
            "ICLR",
            "recycling solves its sequences up to 13.9 times as fast",
            "skr.txt",
        ),
    )

    kind: Literal["plate"] = "plate"
    cells: int = Field(default=32, ge=8, le=1024, multiple_of=8, json_schema_extra=in_units("cells"))
    """Edges along a side of the plate, away from the slots. 32 gives 2581 nodes, 64 gives 9441, 168 gives 61651."""

    def template(self, n: int) -> xr.Dataset:
        """Describe ``n`` samples; see `Problem.template`."""
        import xarray as xr

        plate = slotted_plate(self.cells)
        about = {
            "level": {"units": "K", "long_name": "temperature of a wall"},
            "rise": {"units": "K", "long_name": "rise at the hot spot"},
            "centre": {"units": "m", "long_name": "y of the hot spot"},
            "width": {"units": "m", "long_name": "width of the hot spot"},
        }
        per_wall = np.broadcast_to(np.float32(np.nan), (n, 2))
        fields = {
            name: (("sample", "wall"), per_wall, {"role": "input", "transform": "identity"} | attrs)
            for name, attrs in about.items()
        }
        temperature = {"role": "output", "transform": "identity", "units": "K", "long_name": "temperature"}
        nodes = np.broadcast_to(np.float32(np.nan), (n, len(plate.points)))
        return xr.Dataset(
            {**fields, "T": (("sample", "node"), nodes, temperature)},
            coords={
                "wall": ("wall", [0.0, 1.0], {"units": "m", "long_name": "x of the wall"}),
                "x": ("node", plate.points[:, 0], {"units": "m", "long_name": "x of the node"}),
                "y": ("node", plate.points[:, 1], {"units": "m", "long_name": "y of the node"}),
                "triangle": (("face", "corner"), plate.triangles, {"long_name": "nodes of the triangle"}),
            },
            attrs={"symmetries": "none"},
        )

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw the parameters of the wall temperatures, ``(n, 2)`` float32 each; see `Problem.draw`."""
        return self.draw_at(seed, ids, None)

    @property
    def leading(self) -> int:
        """All parameters may be given, both walls' of a kind after each other; see `Problem.leading`."""
        return 2 * len(_RANGES)

    def draw_at(self, seed: int, ids: np.ndarray, given: np.ndarray | None) -> Arrays:
        """Draw with given parameters, each between its bounds; see `Problem.draw_at`."""
        drawn = np.empty((len(ids), len(_RANGES), 2))
        for row, (numbers, sample) in enumerate(zip(drawn, ids, strict=True)):
            generator = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, int(sample)))))
            numbers[...] = generator.random(numbers.shape)
            if given is not None:
                numbers.flat[: given.shape[1]] = given[row]
        return {
            name: (low + (high - low) * drawn[:, i]).astype(np.float32)
            for i, (name, (low, high)) in enumerate(_RANGES.items())
        }

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the parameters, each from 0 to 1, ``(n, 8)`` float32."""
        scaled = [(inputs[name] - low) / (high - low) for name, (low, high) in _RANGES.items()]
        return np.concatenate(scaled, axis=1).astype(np.float32)

    def walls(self, inputs: Mapping[str, Array]) -> Array:
        """Return the given temperatures of the nodes on both walls, the left first, ``(n, nodes)`` float64."""
        plate = slotted_plate(self.cells)
        found = []
        for side, nodes in enumerate(plate.walls):
            level, rise, centre, width = (double(inputs[name])[:, side, None] for name in _RANGES)
            along = like(plate.points[nodes, 1], level)
            found.append(level + rise * namespace(level).exp(-0.5 * ((along - centre) / width) ** 2))
        return namespace(found[0]).concat(found, axis=1)

    def simulate(self, inputs: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        """Solve for the temperature, ``T`` ``(n, nodes)`` float64; see `Problem.simulate`."""
        plate, given = slotted_plate(self.cells), self.walls(inputs)
        operators = self._inside(len(given))
        temperature = plate.spread(given)
        load = np.ascontiguousarray(-(given @ plate.coupling.T))
        temperature[:, plate.free] = solve(Systems(operators, load))
        return {"T": temperature}

    def equations(self, inputs: Mapping[str, Array], fields: Mapping[str, Array]) -> dict[str, Array]:
        """Return what is left over of the balance of heat, element by element; see `Problem.equations`.

        A node on a wall has how far it is from the given temperature, times 1 W/(m K).
        """
        plate, temperature = slotted_plate(self.cells), fields["T"]
        off = temperature - cast(plate.spread(self.walls(inputs)), temperature)
        return {"T": select(self.conditions()["T"], off, plate.outflow(temperature))}

    def scale(self, inputs: Mapping[str, Array]) -> Array:
        """Return the norm of what the given temperatures send into the plate; see `Problem.scale`."""
        plate = slotted_plate(self.cells)
        given = cast(plate.spread(self.walls(inputs)), inputs["level"])
        return joint_size({"T": plate.outflow(given)}, {"T": ~self.conditions()["T"]})

    def conditions(self) -> dict[str, np.ndarray]:
        """Return the nodes on the walls; see `Problem.conditions`."""
        plate = slotted_plate(self.cells)
        found = np.ones(len(plate.points), dtype=bool)
        found[plate.free] = False
        return {"T": found}

    def linearised(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> Matrices:
        """Return the stiffness, with rows of the unit matrix at the walls, one for all; see `Problem.linearised`."""
        del fields
        pattern, values = stiffness(slotted_plate(self.cells))
        return Matrices(np.broadcast_to(values, (len(inputs["level"]), len(values))), pattern, (pattern.size,))

    def corrected(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray], solve: Solve) -> Arrays:
        """Return the temperatures with those given at the walls, and solved for the others; see `Problem.corrected`."""
        plate, walls = slotted_plate(self.cells), self.conditions()["T"]
        wide = {name: double(values) for name, values in inputs.items()}
        lifted: np.ndarray = select(walls, plate.spread(self.walls(wide)), double(fields["T"]))
        left = np.ascontiguousarray(-self.equations(wide, {"T": lifted})["T"][:, plate.free])
        lifted[:, plate.free] += solve(Systems(self._inside(len(left)), left))
        return {"T": lifted}

    def _inside(self, n: int) -> Matrices:
        """Return the stiffness of the nodes that are not on a wall, the same for all samples."""
        plate = slotted_plate(self.cells)
        values = np.broadcast_to(plate.values, (n, len(plate.values)))
        return Matrices(values, plate.pattern, (len(plate.free),), symmetric=True, definite=True)

    def rounding(self, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return ``‖|A| |u|‖ / ‖b‖``; see `Problem.rounding`."""
        total = np.abs(fields["T"].astype(np.float64))
        flows = slotted_plate(self.cells).outflow(total, operator.add)
        rounded = np.where(self.conditions()["T"], total, flows)
        found: np.ndarray = norms(rounded) / self.scale({name: double(values) for name, values in inputs.items()})
        return found
