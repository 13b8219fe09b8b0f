"""Makes and deletes the objects of a cluster of pods; imported when one is opened, since kr8s is an extra."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import kr8s
from kr8s.objects import Pod, Secret, Service, new_class

from ritz.compute.cluster.errors import ClusterError
from ritz.compute.cluster.pods.manifests import API, PodCluster

log = logging.getLogger("ritz")

POLL = 1.0
"""Seconds between two looks at the pod of the scheduler."""

DaskCluster = new_class("DaskCluster", API, asyncio=False)
DaskWorkerGroup = new_class("DaskWorkerGroup", API, asyncio=False)


def own_namespace() -> str:
    """Return the namespace of the configuration of ``kubectl``, or that of this pod.

    Raises
    ------
    ClusterError
        If there is no configuration.
    """
    try:
        return str(kr8s.api().namespace)
    except (OSError, ValueError, kr8s.APITimeoutError, httpx.HTTPError) as error:
        raise ClusterError(
            f"profile.kind: no Kubernetes can be reached ({error}); expected one that kubectl reaches"
        ) from error


@contextmanager
def made(pods: PodCluster, files: Mapping[str, str], timeout: float) -> Iterator[None]:
    """Make the objects of a cluster, wait for its scheduler, and delete them at the end.

    Raises
    ------
    ClusterError
        If an object is refused, or the scheduler does not become ready in time.
    """
    objects = [
        Secret(pods.secret(files), namespace=pods.namespace),
        DaskCluster(pods.cluster(), namespace=pods.namespace),
    ]
    objects += [DaskWorkerGroup(group, namespace=pods.namespace) for group in pods.further_groups()]
    there = []
    try:
        for one in objects:
            try:
                one.create()
            except (kr8s.ServerError, kr8s.APITimeoutError, httpx.HTTPError) as error:
                raise ClusterError(
                    f"profile: Kubernetes refused {one.kind} {one.name!r} ({error}); expected a namespace in which "
                    "this user may make it, and the Dask operator: https://kubernetes.dask.org/en/latest/installing.html"
                ) from error
            there.append(one)
        _wait(pods, timeout)
        yield
    finally:
        # The operator deletes the pods of a cluster with it.
        for one in reversed(there):
            try:
                one.delete()
            except (kr8s.ServerError, kr8s.NotFoundError, kr8s.APITimeoutError, httpx.HTTPError) as error:
                log.warning("%s %s could not be deleted: %s", one.kind, one.name, error)


@contextmanager
def forwarded(pods: PodCluster, port: int) -> Iterator[int]:
    """Forward a port of this machine to that of the scheduler, and give its number."""
    service = Service.get(f"{pods.name}-scheduler", namespace=pods.namespace)
    with service.portforward(remote_port=port, local_port="auto") as local:
        yield int(local)


def _wait(pods: PodCluster, timeout: float) -> None:
    until, said = time.monotonic() + timeout, "the Dask operator has made none"
    labels = {"dask.org/cluster-name": pods.name, "dask.org/component": "scheduler"}
    while time.monotonic() < until:
        found: list[Any] = list(Pod.list(namespace=pods.namespace, label_selector=labels))
        if found and found[0].ready():
            return
        if found:
            said = f"its pod {found[0].name} is {found[0].status.phase}"
        time.sleep(POLL)
    raise ClusterError(f"profile.timeout: the scheduler was not ready within {timeout:g} s: {said}")
