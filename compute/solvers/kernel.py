"""How compiled kernels are compiled."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function on its first call and keep the machine code on disk.

    Floating-point sums may be reordered and contracted, so that loops over contiguous slices become vector
    instructions; NaN and infinity keep their meaning, and divisions by zero give them. A kernel may call
    kernels in other files of its folder: code on disk is used only as long as no file of the folder has
    changed (numba by itself looks at the file of the function alone, and would go on with what was
    inlined from another). Kernels do not call themselves.
    """
    compiled: Any = njit(cache=True, fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")(function)
    folder = Path(inspect.getfile(function)).parent
    stamps = [(file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in sorted(folder.glob("*.py"))]
    compiled._cache._cache_file._source_stamp = tuple(stamps)
    return compiled
