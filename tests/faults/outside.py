"""What a dataset holds for those who have no Ritz: read with Icechunk and xarray, in a process that cannot import it.

As a program, given the folder of a repository, it says as JSON which versions there are, the ids of the latest one, and
SHA-256 of the bytes of each of its variables, with the samples in the order of their ids.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import xarray as xr


def seen(store: Path, name: str) -> dict[str, Any]:
    """Return what the program says of a dataset in a store."""
    # Without `site` the files are not read by which an editable installation is found.
    command = [sys.executable, "-S", "-P", "-W", "error", __file__, str(store / "datasets" / name)]
    environment = os.environ | {"PYTHONPATH": sysconfig.get_path("purelib")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main(folder: str) -> None:
    # Importing it fails from here on, wherever it is installed.
    sys.modules["ritz"] = None  # type: ignore[assignment]
    icechunk.set_logs_filter("error")
    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(folder))
    versions = sorted(repository.list_tags(), key=lambda version: int(version.removeprefix("v")))
    session = repository.readonly_session(tag=versions[-1])
    data = xr.open_zarr(session.store, consolidated=False, chunks=None, mask_and_scale=False, decode_times=False)
    order = np.argsort(data["sample_id"].values, kind="stable")
    digests = {}
    for name, variable in data.variables.items():
        values = variable.values[order] if "sample" in variable.dims[:1] else variable.values
        digests[str(name)] = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
    ids = data["sample_id"].values[order].tolist()
    print(json.dumps({"versions": versions, "ids": ids, "digests": digests}))


if __name__ == "__main__":
    main(*sys.argv[1:])
