"""Worker processes that write a dataset, and the clock around them."""

from __future__ import annotations

import multiprocessing
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import Any

from benchmarks.stores.data import SHARD, Samples
from benchmarks.stores.formats import Format


def _serve(pipe: Connection, samples: Samples) -> None:
    """Write what the driver says: the fields are made before the clock starts."""
    while (job := pipe.recv()) is not None:
        made, shards = job
        fields = {shard: samples.shard(shard) for shard in shards}
        with made.writer() as write:
            pipe.send("ready")
            pipe.recv()
            for shard, arrays in fields.items():
                pipe.send((shard, write(shard, arrays)))
        # After the file is closed.
        pipe.send(None)


class Workers:
    """Processes that live as long as the benchmark, so that their start is outside of the clock."""

    def __init__(self, pipes: list[Connection]) -> None:
        self.pipes = pipes

    @classmethod
    @contextmanager
    def start(cls, number: int, samples: Samples) -> Iterator[Workers]:
        context = multiprocessing.get_context("spawn")
        pairs = [context.Pipe() for _ in range(number)]
        processes = [context.Process(target=_serve, args=(theirs, samples), daemon=True) for _, theirs in pairs]
        for process in processes:
            process.start()
        try:
            yield cls([ours for ours, _ in pairs])
        finally:
            for ours, _ in pairs:
                ours.send(None)
            for process in processes:
                process.join()

    def write(self, made: Format, number: int) -> float:
        """Let ``number`` workers write the whole dataset anew and return the seconds until all is committed."""
        shutil.rmtree(made.path, ignore_errors=True)
        made.create()
        pipes: list[Any] = self.pipes[:number]
        shards = range(made.samples // SHARD)
        for worker, pipe in enumerate(pipes):
            own, mine = made, list(shards[worker::number])
            if made.one_file and number > 1:
                # A file for each worker, with its own samples; nobody joins them.
                own, mine = (
                    replace(made, samples=made.samples // number, file=worker),
                    list(range(len(shards) // number)),
                )
            pipe.send((own, mine))
        for pipe in pipes:
            assert pipe.recv() == "ready"
        with made.driver() as take:
            start = time.perf_counter()
            for pipe in pipes:
                pipe.send("go")
            open_pipes = list(pipes)
            while open_pipes:
                for pipe in wait(open_pipes):
                    written = pipe.recv()  # type: ignore[union-attr]
                    if written is None:
                        open_pipes.remove(pipe)
                    else:
                        take(*written)
            return time.perf_counter() - start
