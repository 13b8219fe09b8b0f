"""A process that opens a version once and reads all of it again and again (``python -m tests.faults.reader``).

Given a store and a version it says on stdout what it found, one checksum a pass, until stdin is closed.
"""

from __future__ import annotations

import select
import sys
import zlib

import xarray as xr

from ritz.storage.datasets import Dataset
from ritz.storage.names import split_spec
from ritz.storage.reading import read
from ritz.storage.store import Store

STATUSES = ("ok", "failed", "absent")


def checksum(data: xr.Dataset) -> int:
    """Return a number for all that a version says: values, names, shapes and attributes."""
    found = zlib.crc32(repr((dict(data.sizes), sorted(data.attrs.items()))).encode())
    for name in sorted(str(name) for name in data.variables):
        found = zlib.crc32(repr((name, data[name].dims, sorted(data[name].attrs.items()))).encode(), found)
        # A part of it, all of it, because xarray keeps what it reads of a whole variable.
        found = zlib.crc32(data[name][0:].values.tobytes(), found)
    return found


def main(url: str, spec: str) -> None:
    store, (name, version) = Store(url), split_spec("dataset", spec)
    opened, handle = read(store, spec, STATUSES), Dataset.open(store, name)
    plain, snapshot = handle.open_version(version), handle.resolve(version).snapshot
    while not select.select([sys.stdin], [], [], 0)[0]:
        # What was opened before the writer did anything is not loaded: every pass asks the store.
        ways = {
            "opened before": (opened, plain),
            "a handle from before": (opened, handle.open_version(version)),
            "by its name": (read(store, spec, STATUSES), plain),
            "by its snapshot": (read(store, f"{name}@{snapshot}", STATUSES), handle.open_version(snapshot)),
        }
        for way, (decoded, raw) in ways.items():
            print(checksum(decoded), checksum(raw), way, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
