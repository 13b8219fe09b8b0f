"""Solves Darcy problems and their gradients in torch (see `wire`); needs numpy, scipy, torch and torch-sla.

The array is a, ``(n, cells, cells)`` float64. Options: ``method``, ``"plain"`` (sparse entries by autograd, SuperLU of
SciPy with one factorisation for a solve and its adjoint) or ``"torch-sla:BACKEND:METHOD"``. Returns u and the gradient
of Σ u² by a.
"""

from __future__ import annotations

import importlib.metadata
import sys
import time
import warnings

import numpy as np
import scipy
import torch
import wire

torch.set_num_threads(1)
warnings.simplefilter("ignore")


def entries(a):
    """Return the entries of A, ``(n, entries)``: the diagonal, then both couplings along y and along x."""
    cells = a.shape[1]

    def along(b):
        inner = 2 * b[:, 1:] * b[:, :-1] / (b[:, 1:] + b[:, :-1])
        return cells**2 * torch.cat([2 * b[:, :1], inner, 2 * b[:, -1:]], 1)

    ty, tx = along(a), along(a.transpose(1, 2)).transpose(1, 2)
    centre = ty[:, :-1] + ty[:, 1:] + tx[:, :, :-1] + tx[:, :, 1:]
    beside = [-ty[:, 1:-1].flatten(1), -tx[:, :, 1:-1].flatten(1)]
    return torch.cat([centre.flatten(1), *(one for one in beside for _ in range(2))], 1)


def places(cells):
    """Return rows and columns of the entries."""
    index = np.arange(cells**2).reshape(cells, cells)
    rows, columns = [index.ravel()], [index.ravel()]
    for lower, upper in ((index[:-1], index[1:]), (index[:, :-1], index[:, 1:])):
        rows += [lower.ravel(), upper.ravel()]
        columns += [upper.ravel(), lower.ravel()]
    return np.concatenate(rows), np.concatenate(columns)


class Direct(torch.autograd.Function):
    """x = A⁻¹ b for a batch of one pattern; a factorisation serves the adjoint too."""

    @staticmethod
    def forward(ctx, values, rows, columns, b):
        """Factorise and solve, sample by sample."""
        size, factors, x = b.shape[1], [], np.empty(tuple(b.shape))
        for i, one in enumerate(values.numpy()):
            matrix = scipy.sparse.csc_array((one, (rows, columns)), shape=(size, size))
            factors.append(
                scipy.sparse.linalg.splu(
                    matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
                )
            )
            x[i] = factors[-1].solve(b[i].numpy())
        ctx.factors, ctx.places = factors, (rows, columns)
        x = torch.from_numpy(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    def backward(ctx, g):
        """Return −λ_i x_j at the entries."""
        (x,) = ctx.saved_tensors
        adjoint = np.stack([factor.solve(one, "T") for factor, one in zip(ctx.factors, g.numpy(), strict=True)])
        rows, columns = ctx.places
        return -torch.from_numpy(adjoint)[:, rows] * x[:, columns], None, None, None


def plain(values, rows, columns, b, rtol):
    """Solve a batch by SuperLU."""
    del rtol
    return Direct.apply(values, rows, columns, b)


def sparse_linear_algebra(backend, method):
    """Return what solves a batch by torch-sla: its batched CG, whose rtol is 1e-6, or one system after the other."""
    from torch_sla import spsolve, spsolve_batch_same_layout

    def solve(values, rows, columns, b, rtol):
        rows, columns, size = torch.from_numpy(rows), torch.from_numpy(columns), b.shape[1]
        if backend == "batched":
            return spsolve_batch_same_layout(values, rows, columns, (size, size), b, method=method, atol=0.0)
        settings = {"backend": backend, "method": method, "is_symmetric": True, "is_spd": True}
        solved = [
            spsolve(one, rows, columns, (size, size), given, tol=rtol, atol=0.0, maxiter=5000, **settings)
            for one, given in zip(values, b, strict=True)
        ]
        return torch.stack(solved)

    return solve


def answer(request, arrays):
    """Solve, then solve and differentiate."""
    cells, method, rtol = request["cells"], request["method"], request["rtol"]
    solve = plain if method == "plain" else sparse_linear_algebra(*method.split(":")[1:])
    a = torch.from_numpy(arrays[0].reshape(-1, cells, cells))
    rows, columns = places(cells)
    b = torch.ones(len(a), cells**2, dtype=torch.float64)
    start = time.process_time()
    with torch.no_grad():
        solve(entries(a), rows, columns, b, rtol)
    alone = time.process_time() - start
    start = time.process_time()
    a.requires_grad_()
    u = solve(entries(a), rows, columns, b, rtol)
    u.square().sum().backward()
    seconds = time.process_time() - start
    return {"alone": alone, "seconds": seconds}, np.concatenate([u.detach().numpy().ravel(), a.grad.numpy().ravel()])


versions = {"plain": f"torch {torch.__version__}", "scipy": f"scipy {scipy.__version__}"}
if sys.argv[1:] == ["torch-sla"]:
    versions = {"torch-sla": f"torch-sla {importlib.metadata.version('torch-sla')}"}
wire.serve(versions, answer)
