"""How compiled kernels are compiled."""

from __future__ import annotations

import fcntl
import functools
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


class Kernel:
    """A function that numba compiles when it is first called; see `kernel`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.dispatcher: Any = None
        self._has_run = False
        functools.update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> Any:
        """Run the compiled function."""
        if self._has_run:
            return self.dispatcher(*arguments)
        compiled = self._compiled()
        with _alone(Path(compiled._cache.cache_path)):
            result = compiled(*arguments)
        self._has_run = True
        return result

    def _compiled(self) -> Any:
        if self.dispatcher is None:
            # numba takes 60 MB, which a process that only handles solvers, like the driver of a run, has no use for.
            from numba import njit

            compiled: Any = njit(cache=True, fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")(
                self.function
            )
            folder = Path(inspect.getfile(self.function)).parent
            stamps = [(file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in sorted(folder.glob("*.py"))]
            compiled._cache._cache_file._source_stamp = tuple(stamps)
            self.dispatcher = compiled
            # numba finds the kernels that this one calls by their names, and must find them as its own.
            names = self.function.__globals__
            for name, value in list(names.items()):
                if isinstance(value, Kernel):
                    names[name] = value._compiled()
        return self.dispatcher


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time compile into a folder: the others wait, and find the machine code on disk."""
    descriptor = None
    # A folder that cannot be written, or a disk without locks: every process compiles for itself, as numba does.
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        # Who can open it, if only to read, can hold its lock: another user could keep this one from solving.
        descriptor = os.open(folder / ".compiling", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function on its first call and keep the machine code on disk.

    Floating-point sums may be reordered and contracted, so that loops over contiguous slices become vector
    instructions; NaN and infinity keep their meaning, and divisions by zero give them. A kernel may call
    kernels in other files of its folder: code on disk is used only as long as no file of the folder has
    changed (numba by itself looks at the file of the function alone, and would go on with what was
    inlined from another). Kernels do not call themselves.
    """
    return Kernel(function)
