"""Solves with PARDISO of Intel MKL what comes in on stdin (see `wire`); needs numpy, scipy and the library's path.

Arrays are indptr and indices (int32), the entries and the right-hand sides (float64). Options: ``type`` (of the
matrix), ``two_level`` (``iparm(24)``), ``single`` (factors in float32, answers refined in float64 until the tolerance
is met), ``block`` (all right-hand sides at once).
"""

from __future__ import annotations

import ctypes
import sys

import numpy as np
import scipy
import scipy.sparse as sp
import wire

_ANALYSE, _FACTOR, _SOLVE, _RELEASE = 11, 22, 33, -1
_NONSYMMETRIC, _INDEFINITE = 11, -2
_REFINEMENTS = 20

library = ctypes.CDLL(sys.argv[1])
kept = {}


class Pardiso:
    """A pattern that was analysed, and the newest factors."""

    def __init__(self, options, indptr, indices):
        size = len(indptr) - 1
        self.options, self.type = options, options["type"]
        places = sp.csr_array((np.arange(1, len(indices) + 1), indices, indptr), shape=(size, size))
        upper = places if self.type == _NONSYMMETRIC else sp.triu(places, format="csr")
        self.places = upper.data - 1
        self.indptr, self.indices = upper.indptr + np.int32(1), upper.indices + np.int32(1)
        self.real = np.float32 if options["single"] else np.float64
        self.pt, self.iparm = np.zeros(64, np.int64), np.zeros(64, np.int32)
        self.iparm[0] = 1  # What follows instead of the defaults.
        self.iparm[1] = 2  # Nested dissection.
        self.iparm[9] = 8 if self.type == _INDEFINITE else 13
        self.iparm[20] = 1
        self.iparm[23] = options["two_level"]
        self.iparm[27] = int(options["single"])
        # No refinement inside, no scaling nor matching: the analysis serves all matrices of the pattern.
        self.values = np.ones(len(self.places), self.real)
        self.nothing = np.zeros(size, self.real)
        self.call(_ANALYSE, self.nothing)

    def call(self, phase, rhs):
        """Call the library; return the solution, if the phase makes one."""
        x, error = np.empty_like(rhs), ctypes.c_int32()
        count = 1 if rhs.ndim == 1 else len(rhs)
        numbers = [ctypes.byref(ctypes.c_int32(value)) for value in (1, 1, self.type, phase, len(self.indptr) - 1)]
        arrays = [array.ctypes.data_as(ctypes.c_void_p) for array in (self.values, self.indptr, self.indices)]
        library.pardiso(
            self.pt.ctypes.data_as(ctypes.c_void_p),
            *numbers,
            *arrays,
            None,
            ctypes.byref(ctypes.c_int32(count)),
            self.iparm.ctypes.data_as(ctypes.c_void_p),
            ctypes.byref(ctypes.c_int32(0)),
            rhs.ctypes.data_as(ctypes.c_void_p),
            x.ctypes.data_as(ctypes.c_void_p),
            ctypes.byref(error),
        )
        if error.value:
            raise RuntimeError(f"PARDISO's error {error.value} in phase {phase}")
        return x

    def take(self, matrix, rtol):
        """Factor a matrix; return what solves."""
        self.values = matrix.data[self.places].astype(self.real)
        self.call(_FACTOR, self.nothing)
        if not self.options["single"]:
            return lambda rhs: (self.call(_SOLVE, rhs), None)

        def refined(rhs):
            wanted = rtol * np.linalg.norm(rhs)
            x = np.zeros_like(rhs)
            r = rhs
            for _ in range(_REFINEMENTS):
                x = x + self.call(_SOLVE, r.astype(np.float32))
                r = rhs - matrix @ x
                if np.linalg.norm(r) <= wanted:
                    break
            return x, None

        return refined

    def release(self):
        """Give the library's memory back."""
        self.call(_RELEASE, self.nothing)


def solve(request, arrays):
    """Answer a request."""
    indptr, indices, data, rhs = arrays
    name, options = request["method"], request["options"]
    rhs = rhs.reshape(-1, request["size"])
    if request["fresh"]:
        if name in kept:
            kept.pop(name)[0].release()
        kept[name] = [Pardiso(options, indptr, indices), None]
    matrix = sp.csr_array((data, indices, indptr), shape=(request["size"],) * 2)

    def prepare():
        if request["changed"]:
            kept[name][1] = kept[name][0].take(matrix, request["rtol"])
        return kept[name][1]

    try:
        return wire.answered(rhs, prepare, block=options["block"])
    except RuntimeError as error:
        return {"seconds": 0, "setup": 0, "iterations": None, "reason": str(error)}, np.full_like(rhs, np.nan)


if __name__ == "__main__":
    text = ctypes.create_string_buffer(200)
    library.mkl_get_version_string(text, 200)
    wire.serve({"mkl": text.value.decode().split("(R)")[-1].strip() or "?", "scipy": scipy.__version__}, solve)
