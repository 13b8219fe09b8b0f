"""The program of a job or a pod: a Dask worker with the settings of Ritz and a scratch folder of its user alone.

``python -m ritz.compute.cluster.program`` takes the arguments of ``dask worker``.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the worker until it leaves or is ended."""
    import dask
    from distributed.cli.dask_worker import main as dask_worker

    from ritz.compute.cluster.dask_settings import scratch, values

    with dask.config.set({**values(), "distributed.comm.require-encryption": True}):
        dask_worker([*sys.argv[1:], "--local-directory", scratch()])


if __name__ == "__main__":
    main()
