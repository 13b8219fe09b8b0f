from __future__ import annotations

import json
import logging
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from ritz.compute.cluster.said import SAID

errors = Console(stderr=True, highlight=False, soft_wrap=True)


Row = Mapping[str, Any]
"""A row of a table: what stands in its cells, by the titles of their columns."""

QUIET = 15.0
"""Seconds without a line after which one says that the work goes on."""

STARTING = "start: what is asked for is checked, then a server and workers start"
"""The first line of a command that works for a while."""


def _is_for_a_terminal(record: logging.LogRecord) -> bool:
    """Return whether a line is shown: those of workers are for the page of a run, but where they warn."""
    return record.name != SAID or record.levelno >= logging.WARNING


@contextmanager
def watching(first: str = "") -> Iterator[None]:
    """Show the progress of the stages meanwhile: bars in a terminal, plain log lines elsewhere; on stderr.

    Parameters
    ----------
    first
        A line that is said at once.
    """
    logger = logging.getLogger("ritz")
    level, propagate = logger.level, logger.propagate
    handler: logging.Handler
    if sys.stderr.isatty():
        bars = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=errors,
        )
        handler = _Bars(bars)
        logger.setLevel(logging.DEBUG)
    else:
        bars = None
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
        logger.setLevel(logging.INFO)
    handler.addFilter(_is_for_a_terminal)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        with _pulse(logger), bars or nullcontext():
            if first:
                logger.info(first)
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


@contextmanager
def noting() -> Iterator[None]:
    """Print what is said meanwhile of something damaged, each once, as a line on stderr."""
    logger, said = logging.getLogger("ritz"), set[str]()

    def once(record: logging.LogRecord) -> bool:
        new = record.getMessage() not in said
        said.add(record.getMessage())
        return new

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("ritz: %(message)s"))
    handler.addFilter(once)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


@contextmanager
def _pulse(logger: logging.Logger) -> Iterator[None]:
    """Say from time to time that the work goes on, where nothing else is said for `QUIET` seconds."""
    last, ended = [time.monotonic()], threading.Event()

    def heard(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.INFO:
            last[0] = time.monotonic()
        return True

    def beat() -> None:
        since = time.monotonic()
        while not ended.wait(max(0.1, last[0] + QUIET - time.monotonic())):
            silent = time.monotonic() - last[0]
            if silent >= QUIET:
                logger.info("work: goes on, for %.0f s in all", time.monotonic() - since)

    logger.addFilter(heard)
    thread = threading.Thread(target=beat, name="pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        logger.removeFilter(heard)


class _Bars(logging.Handler):
    """Turns the progress records of `ritz.tasks.driver.progress` into bars and prints the others above them."""

    def __init__(self, bars: Progress) -> None:
        super().__init__()
        self.bars = bars
        self._tasks: dict[str, TaskID] = {}

    def emit(self, record: logging.LogRecord) -> None:
        progress = getattr(record, "progress", None)
        if progress is None:
            if record.levelno >= logging.INFO:
                self.bars.console.print(record.getMessage(), markup=False)
            return
        if progress.stage not in self._tasks:
            self._tasks[progress.stage] = self.bars.add_task(progress.stage, note="")
        self.bars.update(self._tasks[progress.stage], completed=progress.done, total=progress.total, note=progress.note)


def print_json(document: Any) -> None:
    """Print one JSON document on stdout."""
    json.dump(document, sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")


def print_fields(rows: Sequence[Row]) -> None:
    """Print fields of a recipe on stdout, each with its meaning below it, in at most 100 columns.

    Parameters
    ----------
    rows
        As `ritz.tasks.parsing.schema.Entry`.
    """
    sys.stdout.write(f"{'field':<35} {'value':<15} default; unit; limits\n")
    for row in rows:
        of_kind = f"with kind {row['kind']}" if row["kind"] else ""
        default = f"default {_written(row['default'])}" if row["default"] is not None else ""
        about = "; ".join(part for part in (of_kind, default, row["unit"], row["limits"]) if part)
        line = f"{row['path']:<35} {_written(row['value']):<15} {about}"
        lines = textwrap.wrap(line, 100, subsequent_indent=" " * 52, drop_whitespace=True)
        lines += textwrap.wrap(row["meaning"], 100, initial_indent="    ", subsequent_indent="    ")
        sys.stdout.write("".join(f"{line.rstrip()}\n" for line in lines))


def _written(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def print_table(rows: Sequence[Row], header: bool = True) -> None:
    """Print rows with equal keys as a table on stdout."""
    if not rows:
        return
    table = Table(show_header=header, box=None, pad_edge=False)
    for key in rows[0]:
        table.add_column(key, overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    width = None if sys.stdout.isatty() else 160
    # What stands in a store may look like markup.
    Console(highlight=False, markup=False, width=width).print(table)
