"""Solves Darcy problems and their gradients with lineax in JAX, jitted (see `wire`); needs numpy, jax and lineax.

The array is a, ``(n, cells, cells)`` float64. Options: ``method`` (``"vmap"``: all samples in one loop, ``"map"``: one
after the other). Returns u and the gradient of Σ u² by a. Conjugate gradients of lineax on a matrix-free operator, with
the diagonal as preconditioner: what it has for large sparse systems on a CPU.
"""

from __future__ import annotations

import os
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_ENABLE_X64"] = "1"

import jax
import jax.numpy as jnp
import lineax
import numpy as np
import wire


def faces(a):
    """Return the transmissibilities across y and x, walls included, ``(cells + 1, cells)`` and the other way."""
    cells = a.shape[0]

    def along(b):
        inner = 2 * b[1:] * b[:-1] / (b[1:] + b[:-1])
        return cells**2 * jnp.concatenate([2 * b[:1], inner, 2 * b[-1:]])

    return along(a), along(a.T).T


def matrix(a):
    """Return the product with A, as a function of u, and the diagonal."""
    ty, tx = faces(a)

    def product(u):
        py, px = jnp.pad(u, ((1, 1), (0, 0))), jnp.pad(u, ((0, 0), (1, 1)))
        fy, fx = ty * (py[1:] - py[:-1]), tx * (px[:, 1:] - px[:, :-1])
        return fy[:-1] - fy[1:] + fx[:, :-1] - fx[:, 1:]

    return product, ty[:-1] + ty[1:] + tx[:, :-1] + tx[:, 1:]


def solved(a, rtol):
    """Return u of one sample."""
    product, diagonal = matrix(a)
    diagonal = jax.lax.stop_gradient(diagonal)
    spd = lineax.positive_semidefinite_tag
    structure = jax.eval_shape(lambda: a)
    operator = lineax.FunctionLinearOperator(product, structure, spd)
    inverse = lineax.FunctionLinearOperator(lambda r: r / diagonal, structure, spd)
    # Residuals are divided by the right-hand side point by point: of 1 the root mean square is what rtol means here.
    solver = lineax.CG(rtol=rtol, atol=0.0, norm=lambda x: jnp.sqrt(jnp.mean(x**2)), max_steps=5000)
    return lineax.linear_solve(
        operator, jnp.ones_like(a), solver, options={"preconditioner": inverse}, throw=False
    ).value


def batched(method, rtol):
    """Return the jitted solve of a batch, and its gradient with it."""

    def forward(a):
        one = lambda b: solved(b, rtol)  # noqa: E731  a lambda of one line
        return jax.vmap(one)(a) if method == "vmap" else jax.lax.map(one, a)

    def quantity(a):
        u = forward(a)
        return jnp.sum(u**2), u

    return jax.jit(forward), jax.jit(jax.value_and_grad(quantity, has_aux=True))


kept = {}


def answer(request, arrays):
    """Solve, then solve with the gradient; the first call of a shape compiles outside of the clock."""
    cells, method, rtol = request["cells"], request["method"], request["rtol"]
    a = jnp.asarray(arrays[0].reshape(-1, cells, cells))
    key = (a.shape, method, rtol)
    if key not in kept:
        kept[key] = batched(method, rtol)
        forward, both = kept[key]
        jax.block_until_ready((forward(a), both(a)))
    forward, both = kept[key]
    start = time.process_time()
    jax.block_until_ready(forward(a))
    alone = time.process_time() - start
    start = time.process_time()
    (_, u), gradient = jax.block_until_ready(both(a))
    seconds = time.process_time() - start
    return {"alone": alone, "seconds": seconds}, np.concatenate([np.ravel(u), np.ravel(gradient)])


wire.serve({"lineax": f"lineax {lineax.__version__}, jax {jax.__version__}"}, answer)
