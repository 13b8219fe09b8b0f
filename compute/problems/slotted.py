"""The plate with two slots: its triangles, its linear finite elements, and its balance of heat."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import scipy

from ritz.compute.fields.arrays import Array, like, namespace
from ritz.compute.problems.balance import Difference
from ritz.compute.solvers.operators import Matrices, Pattern

if TYPE_CHECKING:
    import skfem

SLOTS = ((0.25, 0.375, 0.0, 0.625), (0.625, 0.75, 0.375, 1.0))
"""The two rectangles that are cut out, each by its edges left, right, bottom and top."""

TIPS = np.array([(0.25, 0.625), (0.375, 0.625), (0.625, 0.375), (0.75, 0.375)])
"""Corners of the slots inside the plate, where the gradient of the temperature is unbounded."""

_GRADING = 8.0
"""Edges at the tips are so many times shorter than far away."""

_GRADED = 0.125
"""Up to this distance from a tip they are shorter at all."""

_SHIFT = 0.15
"""Nodes are moved by at most this share of their shortest edge."""


@dataclass(frozen=True, eq=False)
class SlottedPlate:
    """A mesh of the plate and its stiffness matrix for linear elements and conductivity 1.

    Attributes
    ----------
    points
        ``(nodes, 2)`` x and y of the nodes, float64.
    triangles
        ``(count, 3)`` int32 nodes of the triangles, anticlockwise.
    walls
        Nodes on the left and on the right wall, where temperatures are given.
    free
        ``(unknowns,)`` the other nodes.
    pattern, values
        Stiffness between free nodes.
    coupling
        Stiffness from both walls, the left first, to the free nodes.
    """

    points: np.ndarray
    triangles: np.ndarray
    walls: tuple[np.ndarray, np.ndarray]
    free: np.ndarray
    pattern: Pattern
    values: np.ndarray
    coupling: scipy.sparse.csr_array

    def spread(self, given: Array) -> Array:
        """Return fields ``(n, nodes)`` with given temperatures ``(n, count)`` on both walls, and zero elsewhere."""
        nodes = np.concatenate(self.walls)
        place = np.full(len(self.points), len(nodes))
        place[nodes] = np.arange(len(nodes))
        xp = namespace(given)
        return xp.concat([given, xp.zeros_like(given[:, :1])], axis=1)[:, xp.asarray(place)]

    def outflow(self, temperature: Array, difference: Difference = operator.sub) -> Array:
        """Sum the heat that leaves every node, element by element.

        Along an edge flows half the cotangent of the angle opposite to it times the difference of the temperatures;
        this is what linear elements come to, and needs no matrix.

        Parameters
        ----------
        temperature
            ``(n, nodes)``, NumPy array or tensor.
        difference
            With ``operator.add`` all terms count positive.

        Returns
        -------
        outflow
            ``(n, nodes)``.
        """
        neighbours, weights = _edges(self, difference is operator.sub)
        around = temperature[:, namespace(temperature).asarray(neighbours)]
        return (like(weights, temperature) * difference(temperature[..., None], around)).sum(axis=-1)


@lru_cache(maxsize=8)
def _edges(plate: SlottedPlate, signed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return for every node its neighbours along edges, and half the cotangents opposite to these, signed or not.

    Both are ``(nodes, most)``; what a node has fewer are itself, with the weight zero.
    """
    starts, ends, weights = [], [], []
    for apex in range(3):
        corner, ahead, behind = (plate.triangles[:, (apex + turn) % 3] for turn in range(3))
        one, other = plate.points[ahead] - plate.points[corner], plate.points[behind] - plate.points[corner]
        half = 0.5 * (one * other).sum(axis=1) / (one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0])
        starts += [ahead, behind]
        ends += [behind, ahead]
        weights += [half if signed else np.abs(half)] * 2
    nodes = len(plate.points)
    where = (np.concatenate(starts), np.concatenate(ends))
    matrix = scipy.sparse.csr_array((np.concatenate(weights), where), shape=(nodes, nodes))
    matrix.sum_duplicates()
    counts = np.diff(matrix.indptr)
    there = np.arange(counts.max()) < counts[:, None]
    neighbours = np.where(there, 0, np.arange(nodes)[:, None])
    found = np.zeros(there.shape)
    neighbours[there], found[there] = matrix.indices, matrix.data
    return neighbours, found


@lru_cache(maxsize=4)
def stiffness(plate: SlottedPlate) -> tuple[Pattern, np.ndarray]:
    """Return pattern and entries of the matrix of all nodes, in which those on the walls have rows of the unit matrix.

    It is assembled, unlike `SlottedPlate.outflow`.
    """
    nodes, walls = len(plate.points), np.concatenate(plate.walls)
    inside = scipy.sparse.coo_array((plate.values, (plate.pattern.rows(), plate.pattern.indices)))
    beside = plate.coupling.tocoo()
    rows = np.concatenate([plate.free[inside.coords[0]], plate.free[beside.coords[0]], walls])
    columns = np.concatenate([plate.free[inside.coords[1]], walls[beside.coords[1]], walls])
    values = np.concatenate([inside.data, beside.data, np.ones(len(walls))])
    matrix = scipy.sparse.csr_array((values, (rows, columns)), shape=(nodes, nodes))
    matrix.sort_indices()
    return Matrices.pattern_of(matrix), matrix.data


@lru_cache(maxsize=4)
def slotted_plate(cells: int) -> SlottedPlate:
    """Mesh the plate; the same number gives the same mesh.

    A lattice of squares, ``cells`` along a side and each cut in two triangles, loses the slots. Triangles near a tip
    are split (red, green and blue refinement) until edges there are an eighth as long, and the nodes inside are moved
    a little, each its own way, so that no two rows of the matrix are alike.

    Parameters
    ----------
    cells
        A multiple of 8, so that the slots lie on the lattice. 32 gives 2581 nodes, 64 gives 9441, 168 gives 61651.
    """
    import skfem
    from skfem.models.poisson import laplace

    mesh = _moved(_graded(_lattice(cells), cells))
    stiffness = laplace.assemble(skfem.Basis(mesh, skfem.ElementTriP1())).tocsr()
    left, right = (np.flatnonzero(mesh.p[0] == x) for x in (0.0, 1.0))
    free = np.setdiff1d(np.arange(mesh.nvertices), np.concatenate([left, right]))
    inside = scipy.sparse.csr_array(stiffness[free][:, free])
    inside.sort_indices()
    coupling = scipy.sparse.csr_array(stiffness[free][:, np.concatenate([left, right])])
    triangles = mesh.t.T.astype(np.int32)
    clockwise = np.linalg.det(np.diff(mesh.p.T[triangles], axis=1)) < 0
    triangles[clockwise] = triangles[clockwise][:, ::-1]
    return SlottedPlate(
        mesh.p.T.copy(), triangles, (left, right), free, Matrices.pattern_of(inside), inside.data, coupling
    )


def _lattice(cells: int) -> skfem.MeshTri:
    import skfem

    line = np.linspace(0, 1, cells + 1)
    mesh = skfem.MeshTri.init_tensor(line, line)
    x, y = mesh.p[:, mesh.t].mean(axis=1)
    cut = [(left < x) & (x < right) & (bottom < y) & (y < top) for left, right, bottom, top in SLOTS]
    return mesh.remove_elements(np.flatnonzero(np.logical_or.reduce(cut)))


def _graded(mesh: skfem.MeshTri, cells: int) -> skfem.MeshTri:
    while True:
        corners = mesh.p[:, mesh.t]
        edges = np.diff(corners, axis=1)
        size = np.sqrt(np.abs(edges[0, 0] * edges[1, 1] - edges[0, 1] * edges[1, 0]))
        x, y = corners.mean(axis=1)
        near = np.min([np.hypot(x - tip[0], y - tip[1]) for tip in TIPS], axis=0)
        # A little tolerance, so that the far lattice, which has just this size, stays.
        large = size > 1.001 / cells * np.clip(near / _GRADED, 1 / _GRADING, 1)
        if not large.any():
            return mesh
        mesh = mesh.refined(np.flatnonzero(large))


def _moved(mesh: skfem.MeshTri) -> skfem.MeshTri:
    import skfem

    points, (start, end) = mesh.p.copy(), mesh.facets
    lengths = np.hypot(*(points[:, start] - points[:, end]))
    shortest = np.full(points.shape[1], np.inf)
    np.minimum.at(shortest, np.concatenate([start, end]), np.tile(lengths, 2))
    inner = mesh.interior_nodes()
    # Multiples of two irrational numbers, modulo 1: they fill a square evenly and are the same everywhere.
    angle, share = np.outer([0.7548776662466927, 0.5698402909980532], np.arange(len(inner))) % 1
    reach = _SHIFT * shortest[inner] * np.sqrt(share)
    points[:, inner] += reach * np.array([np.cos(2 * np.pi * angle), np.sin(2 * np.pi * angle)])
    return skfem.MeshTri(points, mesh.t)
