from __future__ import annotations

import typer

from ritz.flows.commands.options import Json, Port, ProfileName, StoreUrl
from ritz.flows.settings import DEFAULT_STORE


def doctor(
    store: StoreUrl = DEFAULT_STORE, profile: ProfileName = "local", port: Port = 4200, as_json: Json = False
) -> None:
    """Look whether this machine, a store and a cluster are fit for Ritz; each line says what to do.

    Looks at Python, packages, disks, store, locks, Prefect, cluster, ports and devices. It starts nothing and leaves
    nothing behind. The exit code is 1 where a command would fail.

    Example: ritz doctor --store s3://bucket/ritz --profile slurm
    """
    from ritz.flows.server.diagnosis import ports, prefect
    from ritz.flows.terminal import print_json
    from ritz.tasks.doctor.cluster import cluster
    from ritz.tasks.doctor.devices import devices
    from ritz.tasks.doctor.packages import packages, python
    from ritz.tasks.doctor.room import disk
    from ritz.tasks.doctor.store import store as access

    checks = (
        *(python, packages, devices, lambda: disk(store), lambda: access(store)),
        *(lambda: prefect(port), lambda: ports(port), lambda: cluster(profile)),
    )
    found = []
    for check in checks:
        for finding in check():
            found.append(finding)
            if not as_json:
                typer.echo(f"{finding.state:5} {finding.subject:9} {finding.said}")
                if finding.todo:
                    typer.echo(f"{'':16}→ {finding.todo}")
    if as_json:
        print_json([one.document() for one in found])
    if any(one.state == "fail" for one in found):
        raise typer.Exit(1)
