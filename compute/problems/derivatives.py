"""Derivatives of the equations of a problem by its fields, by differentiating them in torch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import scipy

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.colouring import colours
from ritz.compute.problems.evolution import Coupling, Evolution
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.solvers.operators import Matrices, Operators, Pattern, Stencil

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

Function = Callable[["torch.Tensor"], "torch.Tensor"]
"""Takes the unknowns ``(n, size)`` to what the equations leave over, ``(n, size)``."""

NUMPY_ALONE = "its equations take NumPy arrays alone"

_MOST = 16
"""Values at one point that are worth the derivatives they take."""

_AGREE = 1e-10
"""Largest difference of operator and equations along a random vector, relative to the entries and the vector."""


@dataclass(frozen=True, eq=False)
class Unknowns:
    """Where the values of a problem's outputs lie in one vector: in C order, one output after the other.

    Attributes
    ----------
    shapes
        Of each output, without the sample, and without the time of an `Evolution`.
    shape
        As that of operators: of the only output, else the number of all values.
    places
        ``(components, *space)`` which entries of the vector belong to each point.
    rings
        Which axes of space close to a ring.
    """

    shapes: dict[str, tuple[int, ...]]
    shape: tuple[int, ...]
    places: np.ndarray
    rings: tuple[bool, ...]

    @classmethod
    def of(cls, problem: Problem) -> Unknowns:
        """Read them from the template of a problem on a grid."""
        template = problem.template(1)
        dimensions, gone = Dimensions.of(template), problem.step_dims
        outputs = [name for name in dimensions.variables if name not in dimensions.inputs]
        dims = {name: tuple(dim for dim in dimensions.variables[name] if dim not in gone) for name in outputs}
        space = tuple(dim for dim in dims[outputs[0]] if dim in dimensions.space)
        shapes = {name: tuple(dimensions.sizes[dim] for dim in dims[name]) for name in outputs}
        places, size = [], 0
        for name, shape in shapes.items():
            count = int(np.prod(shape))
            grid = np.arange(size, size + count).reshape(shape)
            last = [dims[name].index(dim) for dim in space]
            points = tuple(dimensions.sizes[dim] for dim in space)
            places.append(np.moveaxis(grid, last, range(-len(space), 0)).reshape(-1, *points))
            size += count
        shape = next(iter(shapes.values())) if len(shapes) == 1 else (size,)
        return cls(shapes, shape, np.concatenate(places), tuple(dim in problem.rings for dim in space))

    def joined(self, fields: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return fields by name, ``(n, *dims)``, as vectors ``(n, size)``."""
        import torch

        return torch.cat([fields[name].flatten(1) for name in self.shapes], dim=1)

    def parted(self, vectors: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the fields by name of vectors ``(n, size)``."""
        sizes = [int(np.prod(shape)) for shape in self.shapes.values()]
        ends = np.cumsum(sizes)
        parts = [vectors[:, end - size : end] for size, end in zip(sizes, ends, strict=True)]
        return {name: part.reshape(-1, *shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}


def coloured(problem: Problem, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> Operators:
    """Return the derivatives of a problem's equations by its fields; see `Problem.linearised`."""
    unknowns, given = Unknowns.of(problem), _tensors(inputs)

    def function(x: torch.Tensor) -> torch.Tensor:
        return unknowns.joined(problem.equations(given, unknowns.parted(x)))

    return _operators(problem, function, unknowns.joined(_tensors(fields)), unknowns)


def coloured_step(problem: Evolution, inputs: Arrays, before: Arrays, after: Arrays, step: int) -> Operators:
    """Return the derivatives of a step's equations by the state after it; see `Evolution.step_linearised`."""
    unknowns = Unknowns.of(problem)
    equations, now = _of_step(problem, inputs, unknowns, step), unknowns.joined(_tensors(before))
    return _operators(problem, lambda x: equations(now, x), unknowns.joined(_tensors(after)), unknowns)


def coupling(problem: Evolution, inputs: Arrays, before: Arrays, after: Arrays, step: int) -> Coupling:
    """Return products with the derivatives of a step's equations by the state before it."""
    unknowns = Unknowns.of(problem)
    equations, then = _of_step(problem, inputs, unknowns, step), unknowns.joined(_tensors(after))
    derivative = _Derivative.of(lambda x: equations(x, then), unknowns.joined(_tensors(before)))
    return Coupling(derivative.along, derivative.back)


@lru_cache(maxsize=32)
def hindrance(problem: Problem) -> str:
    """Return why a problem's equations have no derivatives by colours, in a few words; empty where they have."""
    if not problem.in_torch:
        return NUMPY_ALONE
    if Dimensions.of(problem.template(1)).mesh:
        return "its fields lie on a mesh, where it has to assemble them itself"
    unknowns = Unknowns.of(problem)
    points = unknowns.places.shape[1:]
    if len(unknowns.places) > _MOST:
        return f"it has {len(unknowns.places)} values at a point, expected at most {_MOST}"
    if any(ring and count < 3 for ring, count in zip(unknowns.rings, points, strict=True)):
        return f"a ring has fewer than 3 points: {points}"
    inputs = {name: values.astype(np.float64) for name, values in problem.draw(0, np.arange(1)).items()}
    rng = np.random.default_rng(0)
    one, other = (
        {name: rng.uniform(0.5, 1.5, (1, *shape)) for name, shape in unknowns.shapes.items()} for _ in range(2)
    )
    try:
        problem.derived(inputs, one, other)
    except Beyond as error:
        return str(error)
    # What somebody's equations do with tensors can be anything.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        log.info("problem %r is not linearised: %s", problem.kind, reason, exc_info=True)
        return reason
    return ""


class Beyond(ValueError):
    """Equations couple a point to others than its nearest neighbours."""


def _of_step(
    problem: Evolution, inputs: Arrays, unknowns: Unknowns, step: int
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return what a step leaves over as a function of the states before and after it, as vectors."""
    given, steps = _tensors(inputs), np.array([step])

    def equations(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        now, then = (
            {name: values[:, None] for name, values in unknowns.parted(states).items()} for states in (before, after)
        )
        found = problem.step_equations(given, now, then, steps)
        return unknowns.joined({name: values[:, 0] for name, values in found.items()})

    return equations


def _operators(problem: Problem, function: Function, x: torch.Tensor, unknowns: Unknowns) -> Operators:
    """Return the derivatives of a function of nearest neighbours at ``x``, ``(n, size)``; see `colours`.

    Raises
    ------
    Beyond
        If along a random vector the derivatives are others.
    """
    places, derivative = unknowns.places, _Derivative.of(function, x)
    components, points = len(places), places.shape[1:]
    kinds = colours(points, unknowns.rings)
    count, size = kinds.max() + 1, x.shape[1]
    found = np.empty((len(x), components * count, size))
    for component in range(components):
        for colour in range(count):
            at_once = np.zeros(size)
            at_once[places[component][kinds == colour]] = 1
            found[:, component * count + colour] = derivative.along(np.broadcast_to(at_once, x.shape))
    if components == 1 and len(unknowns.shape) == len(points) and not any(unknowns.rings):
        operators: Operators = Stencil(_coefficients(found, kinds))
    else:
        pattern, entries = _star(unknowns)
        operators = Matrices(found.reshape(len(x), -1)[:, entries], pattern, unknowns.shape)
    random = np.random.default_rng(0).standard_normal(x.shape)
    truth = derivative.along(random)
    for i, v in enumerate(random):
        allowed = _AGREE * operators.magnitude(i) * np.linalg.norm(v)
        if np.linalg.norm(operators.matvec(i, v) - truth[i]) > allowed:
            raise Beyond(
                f"the equations of problem {problem.kind!r} couple beyond the nearest neighbours along the axes"
            )
    return operators


def _neighbours(points: tuple[int, ...], rings: tuple[bool, ...]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for the point itself, and its lower and upper neighbour along each axis: which it is, and where it is."""
    cells = np.arange(np.prod(points)).reshape(points)
    found = [(cells, np.ones(points, dtype=bool))]
    for axis, ring in enumerate(rings):
        place = np.indices(points)[axis]
        for way, inside in ((1, place > 0), (-1, place < points[axis] - 1)):
            found.append((np.roll(cells, way, axis), inside | ring))
    return found


def _coefficients(found: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Return the coefficients of stencils, ``(n, points, *space)``, from the derivatives along the colours."""
    shape = kinds.shape
    neighbours = _neighbours(shape, (False,) * len(shape))
    coefficients = np.zeros((len(found), len(neighbours), found.shape[2]))
    for point, (cells, inside) in enumerate(neighbours):
        here, there = np.flatnonzero(inside), cells[inside]
        coefficients[:, point, here] = found[:, kinds.ravel()[there], here]
    return coefficients.reshape(*coefficients.shape[:2], *shape)


def _star(unknowns: Unknowns) -> tuple[Pattern, np.ndarray]:
    """Return the pattern of matrices in which a point meets its neighbours, and where its entries are in ``found``."""
    return _star_of(unknowns.places.tobytes(), unknowns.places.shape, unknowns.rings)


@lru_cache(maxsize=32)
def _star_of(places: bytes, shape: tuple[int, ...], rings: tuple[bool, ...]) -> tuple[Pattern, np.ndarray]:
    index = np.frombuffer(places, dtype=np.int64).reshape(shape[0], -1)
    kinds = colours(shape[1:], rings).ravel()
    rows, columns, entries = [], [], []
    for row in index:
        for component, column in enumerate(index):
            for cells, inside in _neighbours(shape[1:], rings):
                here, there = np.flatnonzero(inside), cells[inside]
                rows.append(row[here])
                columns.append(column[there])
                entries.append((component * (kinds.max() + 1) + kinds[there]) * index.size + row[here])
    where = (np.concatenate(rows), np.concatenate(columns))
    # One more, so that none of the entries is zero.
    matrix = scipy.sparse.csr_array((1.0 + np.concatenate(entries), where), shape=(index.size,) * 2)
    matrix.sort_indices()
    return Matrices.pattern_of(matrix), matrix.data.astype(np.int64) - 1


def _tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    import torch

    return {name: torch.tensor(values, dtype=torch.float64) for name, values in arrays.items()}


@dataclass(frozen=True)
class _Derivative:
    """The derivative J of a function at a place, in products with vectors that come and go in any shape.

    Attributes
    ----------
    place, value
        x and f(x), ``(n, size)``, with the graph between them.
    weights, pulled
        w, of zeros, and Jᵀ w, with a graph: what is linear in w gives J v as the derivative of vᵀ Jᵀ w by w.
    """

    place: torch.Tensor
    value: torch.Tensor
    weights: torch.Tensor
    pulled: torch.Tensor

    @classmethod
    def of(cls, function: Function, x: torch.Tensor) -> _Derivative:
        """Differentiate a function at ``x``."""
        import torch

        # Whatever a caller has turned off, as backward of torch does.
        with torch.enable_grad():
            place = x.detach().requires_grad_()
            value = function(place)
            weights = torch.zeros_like(value).requires_grad_()
            (pulled,) = torch.autograd.grad(value, place, weights, create_graph=True, materialize_grads=True)
        return cls(place, value, weights, pulled)

    def along(self, v: np.ndarray) -> np.ndarray:
        """Return ``J v``."""
        return self._gradient(self.pulled, self.weights, v)

    def back(self, w: np.ndarray) -> np.ndarray:
        """Return ``Jᵀ w``."""
        return self._gradient(self.value, self.place, w)

    def _gradient(self, of: torch.Tensor, by: torch.Tensor, v: np.ndarray) -> np.ndarray:
        import torch

        if not of.requires_grad:
            return np.zeros_like(v)
        given = torch.tensor(v, dtype=torch.float64).reshape(of.shape)
        (found,) = torch.autograd.grad(of, by, given, retain_graph=True, materialize_grads=True)
        product: np.ndarray = found.numpy().reshape(v.shape)
        return product
