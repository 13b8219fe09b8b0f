"""One thread a process, for every library that would take more."""

from __future__ import annotations

import os
import sys

SETTINGS = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)


def one_thread() -> None:
    """Start this process again with one thread if it has more.

    The settings are read when a library loads, so they have to be there before Python starts.
    """
    if any(os.environ.get(name) != value for name, value in SETTINGS.items()):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | SETTINGS)
