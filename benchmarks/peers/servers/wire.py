"""Answers requests on stdin: what every peer that lives in a process of its own has in common.

A request is a line of JSON that names its ``arrays`` (pairs of dtype and length), then these arrays, little-endian.
The answer is a line of JSON (``seconds``, ``setup``, ``iterations``, ``reason``), then the solutions in float64. The
first answer comes by itself and holds versions. Needs numpy, and nothing of this project.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

# Printing libraries must not get into the answers.
_answers = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)

Run = Callable[[np.ndarray], "tuple[np.ndarray, int | None]"]
"""Takes a right-hand side; returns the solution and the number of iterations, None for a direct method."""


def serve(
    versions: dict[str, Any], solve: Callable[[dict[str, Any], list[np.ndarray]], tuple[dict, np.ndarray]]
) -> None:
    """Answer until stdin ends; ``solve`` takes a request and its arrays."""
    _write(versions, np.empty(0))
    for line in sys.stdin.buffer:
        request = json.loads(line)
        _write(*solve(request, [_receive(count, dtype) for dtype, count in request["arrays"]]))


def answered(rhs: np.ndarray, prepare: Callable[[], Run], block: bool = False) -> tuple[dict[str, Any], np.ndarray]:
    """Prepare, solve for the rows of ``rhs``, and give account; seconds are those of the process on its processor."""
    start = time.process_time()
    run = prepare()
    setup = time.process_time() - start
    if block:
        x, counts = run(rhs)[0], []
    else:
        pairs = [run(b) for b in rhs]
        x, counts = np.array([x for x, _ in pairs]), [count for _, count in pairs if count is not None]
    seconds = time.process_time() - start
    return {"seconds": seconds, "setup": setup, "iterations": float(np.mean(counts)) if counts else None}, x


def _receive(count: int, dtype: str) -> np.ndarray:
    array = np.frombuffer(sys.stdin.buffer.read(count * np.dtype(dtype).itemsize), dtype=dtype)
    if len(array) != count:
        raise EOFError(f"got {len(array)} of {count} numbers")
    return array.copy()


def _write(account: dict[str, Any], x: np.ndarray) -> None:
    _answers.write(json.dumps(account).encode() + b"\n")
    _answers.write(np.ascontiguousarray(x, dtype="<f8").tobytes())
    _answers.flush()
