from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

COARSEST = 36
"""Unknowns from which on a level is solved by its dense inverse."""

Offset = tuple[int, int, int]

# Columns of `Plan.levels`: cells; distances of neighbours along z and y; slots and margin of a vector; where its
# stencils, their points, its vectors and transfers begin in the buffers; and of the transfer to the next level the
# factors, how many colours the fine cells have, how many of them a basis function touches and how many it reaches
# when the operator is applied to it.
NZ, NY, NX, STRIDE_Z, STRIDE_Y, SLOTS, MARGIN, STENCIL, POINTS, POINT, VECTOR, TRANSFER = range(12)
FZ, FY, FX, COLOURS, SUPPORT, REACH = range(12, 18)
_COLUMNS = 18
# Columns of `Plan.begin`.
INTERPOLATE, APPLY, COLLECT, GATHER = range(4)


@dataclass(frozen=True, eq=False)
class Plan:
    """Where everything lies, and which products the kernels have to add up, for a hierarchy on one grid.

    A vector of a level is flat and padded: along every axis that has more than one cell each line is followed
    by one slot that stays zero, and a margin of zeros lies before and behind. A neighbour is then a fixed
    distance away and no kernel asks where the grid ends; all of them are loops over contiguous memory,
    in one, two and three dimensions alike. The cells of a fine level, sorted by which of their indices are even
    (colours), lie in planes with the layout of the next coarser level, so that the transfers and the products
    that make the coarse operator are such loops too.

    The tables are int64.

    Attributes
    ----------
    levels
        One row a level, the columns above.
    points
        ``distance`` to each point of the stencils, level by level.
    interpolate
        Rows (offset, plane of the fine stencil, distance, plane of the transposed stencil, distance, offset it
        multiplies or −1 for the denominator).
    apply
        Rows (offset, plane of the fine stencil, distance, reached point, 1 if the upper half of a symmetric coarse
        stencil needs it): the operator times a basis function.
    collect
        Rows (reached point, offset, point of the coarse stencil, distance): a row of the restriction times that.
    gather
        Rows (colour, distance), one for each offset.
    begin
        Where the rows of each transfer begin in the four tables, and where the last end.
    sizes
        Lengths of the buffers: stencils, vectors, transfers, planes of the finest stencil.
    """

    levels: np.ndarray
    points: np.ndarray
    interpolate: np.ndarray
    apply: np.ndarray
    collect: np.ndarray
    gather: np.ndarray
    begin: np.ndarray
    sizes: tuple[int, int, int, int]


def star(active: tuple[bool, ...]) -> list[Offset]:
    """Return the offsets of a 3-, 5- or 7-point stencil in the order of `ritz.compute.solvers.operators.Stencil`."""
    offsets: list[Offset] = [(0, 0, 0)]
    for axis, unit in enumerate(((1, 0, 0), (0, 1, 0), (0, 0, 1))):
        if active[axis]:
            offsets += [_negative(unit), unit]
    return offsets


def box(active: tuple[bool, ...]) -> list[Offset]:
    """Return the offsets of a 3-, 9- or 27-point stencil, the centre first, opposite points side by side."""
    z, y, x = ((-1, 0, 1) if on else (0,) for on in active)
    half = sorted((o for o in product(z, y, x) if o > (0, 0, 0)), key=lambda o: (sum(map(abs, o)), o))
    return [(0, 0, 0), *(point for o in half for point in (_negative(o), o))]


@lru_cache(maxsize=32)
def plan(shape: tuple[int, ...]) -> Plan:
    """Plan a hierarchy for a grid: every axis is halved until one cell is left or the level is small enough.

    Parameters
    ----------
    shape
        Cells along one to three axes; any numbers.
    """
    cells: Offset = (1,) * (3 - len(shape)) + tuple(shape)  # type: ignore[assignment]  # always three
    active = tuple(n > 1 for n in cells)
    stencil = star(active)
    levels: list[list[int]] = []
    points: list[int] = []
    tables: dict[str, list[tuple[int, ...]]] = {"interpolate": [], "apply": [], "collect": [], "gather": []}
    at = {"stencil": 0, "vector": 0, "transfer": 0}
    planes = 0
    begins = [[0, 0, 0, 0]]
    while True:
        pitches = [n + 1 if on else 1 for n, on in zip(cells, active, strict=True)]
        strides = (pitches[1] * pitches[2], pitches[2], 1)
        slots = math.prod(pitches)
        margin = sum(stride for stride, on in zip(strides, active, strict=True) if on)
        row = [0] * _COLUMNS
        row[NZ : NX + 1] = cells
        row[STRIDE_Z], row[STRIDE_Y], row[SLOTS], row[MARGIN] = strides[0], strides[1], slots, margin
        row[STENCIL], row[POINTS], row[POINT] = at["stencil"], len(stencil), len(points)
        row[VECTOR], row[TRANSFER] = at["vector"], at["transfer"]
        points += [_distance(o, strides) for o in stencil]
        levels.append(row)
        padded = slots + 2 * margin
        at["stencil"] += len(stencil) * padded
        at["vector"] += padded
        if math.prod(cells) <= COARSEST:
            break
        factors = tuple(2 if n > 1 else 1 for n in cells)
        cells = tuple(max(n // 2, 1) for n in cells)  # type: ignore[assignment]  # always three
        coarse_pitches = [n + 1 if on else 1 for n, on in zip(cells, active, strict=True)]
        coarse_strides = (coarse_pitches[1] * coarse_pitches[2], coarse_pitches[2], 1)
        coarse_padded = math.prod(coarse_pitches) + 2 * sum(
            stride for stride, on in zip(coarse_strides, active, strict=True) if on
        )
        coarse_stencil = box(active)
        support = _tabulate(tables, stencil, coarse_stencil, factors, coarse_strides)
        colours = 2 ** sum(factor == 2 for factor in factors)
        row[COLOURS], row[SUPPORT] = colours, len(support)
        row[FZ : FX + 1] = factors
        row[REACH] = math.prod(5 if factor == 2 else 3 for factor in factors)
        at["transfer"] += len(support) * coarse_padded
        planes = max(planes, len(stencil) * colours * coarse_padded)
        begins.append([len(tables[name]) for name in ("interpolate", "apply", "collect", "gather")])
        stencil = coarse_stencil
    table = {name: np.array(tables[name], np.int64).reshape(-1, width) for name, width in _WIDTHS}
    return Plan(
        levels=np.array(levels),
        points=np.array(points),
        **table,
        begin=np.array(begins),
        sizes=(at["stencil"], at["vector"], at["transfer"], planes),
    )


_WIDTHS = (("interpolate", 6), ("apply", 5), ("collect", 4), ("gather", 2))


def _tabulate(
    tables: dict[str, list[tuple[int, ...]]],
    stencil: list[Offset],
    coarse_stencil: list[Offset],
    factors: tuple[int, ...],
    strides: Offset,
) -> list[Offset]:
    """Add the rows of one transfer to the tables; return the offsets of a basis function from its coarse point."""
    axes = [(-1, 0, 1) if factor == 2 else (0,) for factor in factors]
    support: list[Offset] = sorted(product(*axes), key=lambda o: (sum(map(abs, o)), o))  # type: ignore[arg-type]  # always three
    place = {offset: i for i, offset in enumerate(support)}
    colours = 2 ** sum(factor == 2 for factor in factors)

    def plane(point: int, fine: Offset) -> tuple[int, int]:
        """Return in which plane, and how far away, a point of the stencil at a fine offset lies."""
        colour, distance = _place(fine, factors, strides)
        return point * colours + colour, distance

    for offset in support[1:]:
        for point, step in enumerate(stencil):
            # Along axes in which the fine point lies on a line of coarse ones the stencil is collapsed.
            collapsed: Offset = tuple(a if b else 0 for a, b in zip(step, offset, strict=True))  # type: ignore[assignment]  # always three
            if all(a in (0, -b) for a, b in zip(collapsed, offset, strict=True)):
                target = place[_sum(offset, collapsed)] if any(collapsed) else -1
                opposite = stencil.index(_negative(step))
                there = plane(opposite, _sum(offset, step))
                tables["interpolate"].append((place[offset], *plane(point, offset), *there, target))
    reach = list(product(*[range(-2, 3) if factor == 2 else range(-1, 2) for factor in factors]))
    reached: dict[Offset, int] = {offset: i for i, offset in enumerate(reach)}  # type: ignore[misc]  # always three
    products = [
        (place[offset], *plane(point, _sum(offset, _negative(step))), reached[_sum(offset, _negative(step))])
        for offset in support
        for point, step in enumerate(stencil)
    ]
    touched = {product[-1] for product in products}
    at = {offset: i for i, offset in enumerate(coarse_stencil)}
    upper = set()
    for fine in [fine for fine, number in reached.items() if number in touched]:
        for step in product((-1, 0, 1), (-1, 0, 1), (-1, 0, 1)):
            moved = (factors[0] * step[0], factors[1] * step[1], factors[2] * step[2])
            seen = _sum(fine, _negative(moved))
            if seen in place and _negative(step) in at:
                point = at[_negative(step)]
                tables["collect"].append((reached[fine], place[seen], point, _distance(step, strides)))
                if point % 2 == 0:
                    upper.add(reached[fine])
    tables["apply"] += [(*product, int(product[-1] in upper)) for product in products]
    tables["gather"] += [_place(offset, factors, strides) for offset in support]
    return support


def _place(fine: Offset, factors: tuple[int, ...], strides: Offset) -> tuple[int, int]:
    """Return the colour of the cell at an offset from a coarse point, and how far away it lies in its plane."""
    colour = distance = 0
    for step, factor, stride in zip(fine, factors, strides, strict=True):
        if factor == 2:
            colour = 2 * colour + step % 2
            distance += (step + 1) // 2 * stride
        else:
            distance += step * stride
    return colour, distance


def _distance(offset: Offset, strides: Offset) -> int:
    return sum(step * stride for step, stride in zip(offset, strides, strict=True))


def _negative(offset: Offset) -> Offset:
    return (-offset[0], -offset[1], -offset[2])


def _sum(a: Offset, b: Offset) -> Offset:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])
