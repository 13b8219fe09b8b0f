"""Datasets beside plain Zarr v3, HDF5 and NetCDF: writing, reading, size, commits, and what a trainer gets.

    python -m benchmarks.store > benchmarks/store.txt              # everything, about 9 minutes
    python -m benchmarks.store --part write --part commit          # some parts

Everything is done by turns in one run, on the same solved fields.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.stores.commits import commits
from benchmarks.stores.data import SHARD, Samples
from benchmarks.stores.formats import HDF5, Format, NetCDF, PlainZarr, Ritz
from benchmarks.stores.timing import Timed, clocked, interleaved
from benchmarks.stores.training import BATCH, loader, stream, training
from benchmarks.stores.writing import Workers
from benchmarks.table import align, machine
from benchmarks.threads import one_thread

POINTS, SAMPLES = 256, 512
SINGLE = 200
COUNTS = (1_000, 100_000)

EXPLANATION = f"""
Data: Darcy fields a and u at {POINTS}² in float32, {2 * POINTS**2 * 4 / 2**20:.1f} MiB a sample, all solved or exact
solutions made from solved ones by symmetries and scaling (benchmarks/stores/data.py), in shards of {SHARD} samples,
with the ledger beside them, in every format. A chunk is a sample in all formats. N: samples. Medians; ↕: slowest over
fastest. ×: samples a second over those of the row named. Files lie in the page cache, and no format waits for the
disk: what is compared is software. Every process has one thread for numerics. The driver that commits for Ritz is a
process beside the workers. lzf without shuffle compresses nothing here, so that reading is a copy (see the sizes).
"""


@dataclass
class Bench:
    """What the parts share: a folder, the solved fields, a place for goals."""

    folder: Path
    samples: Samples
    workers: Workers
    repetitions: int
    goals: list[list[str]] = field(default_factory=list)

    def made(self, kind: Callable[..., Format], name: str, samples: int, **options: Any) -> Any:
        return kind(name, self.folder / str(samples), samples, self.samples.template(samples), **options)

    def formats(self, samples: int) -> dict[str, Any]:
        kinds = {"Ritz": Ritz, "Zarr": PlainZarr, "HDF5 lzf": HDF5, "NetCDF": NetCDF}
        return {name: self.made(kind, name, samples) for name, kind in kinds.items()}

    def written(self) -> dict[str, Any]:
        """Return all formats with `SAMPLES` samples in them, written when they are first asked for."""
        made = self.formats(SAMPLES)
        for one in made.values():
            if not one.path.exists():
                self.workers.write(one, 1)
        return made

    def goal(self, what: str, reached: float, limit: float, at_least: bool) -> None:
        met = reached >= limit if at_least else reached <= limit
        sign = "≥" if at_least else "≤"
        self.goals.append([what, f"{sign} {limit:g}", f"{reached:.3g}", "met" if met else "NOT MET"])


def rates(timed: dict[str, Timed], counts: dict[str, int] | int, unit: float, against: str) -> list[str]:
    """Print samples and megabytes a second of each row."""
    lines = []
    for name, row in timed.items():
        n = counts if isinstance(counts, int) else counts[name]
        rate = n / row.median
        reference = (counts if isinstance(counts, int) else counts[against]) / timed[against].median
        lines.append(
            [
                name,
                str(len(row.seconds)),
                f"{rate:.0f}",
                f"{rate * unit / 1e6:.0f}",
                f"{rate / reference:.2f}",
                row.spread,
            ]
        )
    return align(["", "runs", "samples/s", "MB/s", f"× {against}", "↕"], lines, left=(0,))


def write(bench: Bench) -> Iterator[str]:
    yield f"Writing, N = {SAMPLES // 2}: from fields in the workers' memory to a dataset that is closed or committed"
    made = bench.formats(SAMPLES // 2)
    for number in (1, 2):
        timed = interleaved(
            {name: lambda one=one, number=number: bench.workers.write(one, number) for name, one in made.items()},
            bench.repetitions,
        )
        yield f"{number} worker{'s, HDF5 and NetCDF a file each' if number > 1 else ''}"
        yield from rates(timed, SAMPLES // 2, _unit(bench), "Zarr")
        reached = timed["Zarr"].median / timed["Ritz"].median
        bench.goal(
            f"write, {number} worker{'s' if number > 1 else ''}: samples/s over plain Zarr's", reached, 0.8, True
        )


def whole(bench: Bench) -> Iterator[str]:
    yield f"Reading all fields into memory, N = {SAMPLES}"
    made = bench.written()
    ways: dict[str, Callable[[], object]] = {name: one.whole for name, one in made.items()}
    ways["Ritz, read_shard"] = made["Ritz"].shards
    expected = made["Ritz"].whole()
    for name, way in ways.items():
        found: Any = way()
        assert all(np.array_equal(found[part], expected[part]) for part in expected), name
    del expected, found
    timed = interleaved({name: lambda way=way: clocked(way) for name, way in ways.items()}, bench.repetitions)
    yield from rates(timed, SAMPLES, _unit(bench), "Zarr")


def sample(bench: Bench) -> Iterator[str]:
    yield f"Single samples, {SINGLE} at random, both fields"
    made = bench.written()
    rng = np.random.default_rng(0)
    with ExitStack() as opened:
        readers = {name: opened.enter_context(one.single()) for name, one in made.items()}

        def go(name: str) -> float:
            places = rng.integers(SAMPLES, size=SINGLE).tolist()
            return clocked(lambda: [readers[name](i) for i in places])

        timed = interleaved({name: lambda name=name: go(name) for name in made}, bench.repetitions)
    yield from rates(timed, SINGLE, _unit(bench), "Zarr")
    bench.goal(
        "single random reads: samples/s over plain Zarr's", timed["Zarr"].median / timed["Ritz"].median, 0.6, True
    )


def torch_dataset(bench: Bench) -> Iterator[str]:
    yield f"Through a torch dataset in random order, batches of {BATCH}, N = {SAMPLES}, an epoch a run"
    made = bench.written()
    ways = {
        "Ritz": stream(made["Ritz"]),
        "Ritz, 1 thread": stream(made["Ritz"], threads=1),
        "Ritz, train split": stream(made["Ritz"], splits=("train",)),
        "HDF5 lzf": loader(made["HDF5 lzf"]),
        "HDF5 lzf, 2 workers": loader(made["HDF5 lzf"], workers=2),
        "Zarr": loader(made["Zarr"]),
    }
    timed = interleaved(ways, bench.repetitions)
    yield from rates(timed, {name: way.samples for name, way in ways.items()}, _unit(bench), "HDF5 lzf")
    yield "Ritz: ShardStream, 2 threads unless said. The train split is 60 % of a shard, whose bytes are all fetched."
    reached = timed["HDF5 lzf"].median / timed["Ritz"].median
    bench.goal("torch dataset: samples/s over h5py's", reached, 1, True)


def idle(bench: Bench) -> Iterator[str]:
    yield "Training on the stream: the recipe's FNO (modes 16, width 32, 4 layers), AdamW, batches of 8, one thread"
    lines = []
    small = Samples.solve(64)
    for samples, n, steps in ((small, 1024, 100), (bench.samples, SAMPLES, 8)):
        made = Ritz(f"Ritz {samples.points}", bench.folder, n, samples.template(n))
        with Workers.start(1, samples) as workers:
            workers.write(made, 1)
        total, waited = training(made, samples, 8, steps)
        epochs = steps * 8 / (0.6 * n)
        lines.append(
            [f"{samples.points}²", str(n), str(steps), f"{epochs:.1f}", f"{total:.1f}", f"{100 * waited / total:.2f}"]
        )
        bench.goal(f"training at {samples.points}²: share of the time it waits, %", 100 * waited / total, 2, False)
    yield from align(["grid", "N", "steps", "epochs", "seconds", "waiting %"], lines, left=(0,))


def size(bench: Bench) -> Iterator[str]:
    yield f"Size on disk by codec, N = {SAMPLES // 4}; written by one worker and read whole, once"
    n = SAMPLES // 4
    gzip = {"compression": "gzip", "shuffle": True}
    made = [
        bench.made(Ritz, "Ritz", n),
        *(
            bench.made(PlainZarr, f"Zarr, {label}", n, cname=cname, clevel=level)
            for label, cname, level in (
                ("none", None, 0),
                ("blosc lz4 5", "lz4", 5),
                ("blosc zstd 1", "zstd", 1),
                ("blosc zstd 5", "zstd", 5),
            )
        ),
        *(
            bench.made(HDF5, f"HDF5, {label}", n, packing=tuple(packing.items()))
            for label, packing in (
                ("none", {}),
                ("lzf", {"compression": "lzf"}),
                ("lzf shuffle", {"compression": "lzf", "shuffle": True}),
                ("deflate 1 shuffle", gzip | {"compression_opts": 1}),
                ("deflate 4 shuffle", gzip | {"compression_opts": 4}),
            )
        ),
        bench.made(NetCDF, "NetCDF, deflate 1 shuffle", n),
    ]
    raw, lines = n * _unit(bench), []
    for one in made:
        seconds = bench.workers.write(one, 1)
        on_disk = one.size()
        lines.append([one.name, f"{on_disk / 1e6:.1f}", f"{raw / on_disk:.2f}", f"{raw / seconds / 1e6:.0f}",
                      f"{raw / clocked(one.whole) / 1e6:.0f}"])  # fmt: skip
    yield from align(["", "MB", "ratio", "write MB/s", "read MB/s"], lines, left=(0,))
    yield f"{raw / 1e6:.1f} MB of fields; all blosc codecs with byte shuffle; checksums in the rows of Ritz and Zarr."


def commit(bench: Bench) -> Iterator[str]:
    few, many = COUNTS
    yield f"A commit of a shard of {SHARD} tiny samples where {few} and {many} samples are stored, by turns"
    start = time.perf_counter()
    timed = commits(bench.folder, COUNTS, 60)
    lines = [[str(count), str(len(row.seconds)), f"{1e3 * row.median:.2f}", row.spread] for count, row in timed.items()]
    yield from align(["stored", "runs", "ms", "↕"], lines, left=())
    yield f"filling both took {time.perf_counter() - start:.0f} s"
    ratio = timed[many].median / timed[few].median
    bench.goal(f"commit with {many} samples stored over one with {few}", ratio, 1.5, False)


PARTS = {
    "write": write,
    "whole": whole,
    "sample": sample,
    "torch": torch_dataset,
    "idle": idle,
    "size": size,
    "commit": commit,
}


def main() -> None:
    """Print the tables of the parts asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description=__doc__)
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part; repeatable")
    parser.add_argument("--runs", type=int, default=5, help="repetitions of each row")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    chosen = parser.parse_args()
    parts = chosen.part or list(PARTS)
    one_thread()
    own = " ".join(
        f"{name} {version(name)}" for name in ("zarr", "icechunk", "h5py", "h5netcdf", "xarray", "numcodecs", "torch")
    )
    print(f"python -m benchmarks.store {' '.join(sys.argv[1:])}".rstrip(), f" # python {sys.version.split()[0]} {own}")
    print(f"Machine: {machine()}.")
    print(*textwrap.wrap(EXPLANATION.strip(), 118), sep="\n")
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ritz-store-", dir=chosen.folder))
        samples = Samples.solve(POINTS)
        bench = Bench(Path(folder), samples, stack.enter_context(Workers.start(2, samples)), chosen.runs)
        for part in parts:
            sys.stderr.write(f"{part}\n")
            print("", *PARTS[part](bench), sep="\n", flush=True)
        print("", "Goals", *align(["goal", "limit", "reached", ""], bench.goals, left=(0, 3)), sep="\n")


def _unit(bench: Bench) -> float:
    """Return the bytes of a sample."""
    return 2.0 * 4 * bench.samples.points**2


if __name__ == "__main__":
    main()
