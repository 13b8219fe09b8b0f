from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import uuid4

from pydantic import Field, field_validator

from ritz.compute.cluster.attach import Attach
from ritz.compute.cluster.errors import ClusterError
from ritz.compute.cluster.pods.manifests import PORT, PodCluster, PodGroup
from ritz.compute.cluster.presence import ROLES
from ritz.compute.cluster.profile import Profile, Role
from ritz.compute.kind import in_units

if TYPE_CHECKING:
    from ritz.compute.cluster.cluster import Cluster

log = logging.getLogger("ritz")

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=200)]
"""Field type: a name of an object of Kubernetes."""


class PodRole(Role):
    """Workers of one role, each in a pod of its own that asks for ``threads`` processors and ``memory``."""

    gpus: int = Field(
        0, ge=0, description="GPUs of each pod, as the resource nvidia.com/gpu.", json_schema_extra=in_units("1")
    )
    node_selector: Mapping[str, str] = Field({}, description="Labels of the nodes for these pods.")


class Kubernetes(Profile):
    """Pods of Kubernetes, made and kept by the Dask operator; needs the extra ``kubernetes``.

    A pod that dies is started again. Connections are encrypted as those of the profile ``local``: the certificate is a
    secret of Kubernetes as long as the run takes. The driver runs in a pod, or elsewhere with the configuration of
    ``kubectl``; the port of the scheduler is then forwarded.
    """

    kind: Literal["kubernetes"] = "kubernetes"
    image: str = Field(
        min_length=1, max_length=300, description="Image of scheduler and workers, with this Ritz and its versions."
    )
    namespace: Name | None = Field(None, description="Namespace of the pods; by default that of the configuration.")
    solve: PodRole = Field(PodRole(count=4), description="Workers that solve systems.")
    train: PodRole = Field(PodRole(), description="Workers that train and evaluate; one per rank of `training.ranks`.")
    environment: Mapping[str, str] = Field({}, description="Variables of all containers; no secrets.")
    secrets: tuple[Name, ...] = Field(
        (), description="Secrets whose entries are variables of the workers, e.g. the credentials of a bucket."
    )
    claims: Mapping[Name, str] = Field({}, description="Volume claim → path at which workers see it, for the store.")
    service_account: Name | None = Field(None, description="Service account of the pods.")
    pull_policy: Literal["IfNotPresent", "Always", "Never"] = Field("IfNotPresent", description="When to pull.")
    timeout: float = Field(
        600.0,
        gt=0,
        description="Seconds to wait for the scheduler, and for the first worker of every role.",
        json_schema_extra=in_units("s"),
    )

    @field_validator("solve")
    @classmethod
    def _solves_on_the_cpu(cls, solve: PodRole) -> PodRole:
        if solve.device != "cpu":
            raise ValueError(f"device is {solve.device!r}, expected 'cpu': the solvers work there alone")
        return solve

    @field_validator("claims")
    @classmethod
    def _absolute(cls, claims: Mapping[str, str]) -> Mapping[str, str]:
        if wrong := [path for path in claims.values() if not path.startswith("/")]:
            raise ValueError(f"expected absolute paths, got {wrong[0]!r}")
        return claims

    @field_validator("environment")
    @classmethod
    def _no_variable_with_a_secret(cls, environment: Mapping[str, str]) -> Mapping[str, str]:
        if wrong := [name for name in environment if re.search("SECRET|PASSWORD|TOKEN", name, re.IGNORECASE)]:
            raise ValueError(f"{wrong[0]!r} would stand in the description of pods; expected it in one of `secrets`")
        return environment

    def check(self, roles: Sequence[str] = ROLES) -> None:
        """Refuse an environment without the extra or without a configuration; see `Profile.check`."""
        from importlib.util import find_spec

        del roles
        if find_spec("dask_kubernetes") is None or find_spec("kr8s") is None:
            raise ClusterError(
                "profile.kind: kubernetes needs dask-kubernetes, which is not installed; expected the extra "
                "`kubernetes`: pip install 'ritz[kubernetes]'"
            )
        from ritz.compute.cluster.pods.operator import own_namespace

        own_namespace()

    def limits(self) -> dict[str, int]:
        """Return the memory limits of the driver, and of the roles that ask for memory; see `Profile.limits`."""
        from distributed.system import MEMORY_LIMIT

        known = {group.role: group.memory for group in self._groups(ROLES) if group.memory is not None}
        return {"driver": int(MEMORY_LIMIT), **known}

    def pods(self, name: str, namespace: str, roles: Sequence[str] = ROLES) -> PodCluster:
        """Return what the operator is asked for."""
        return PodCluster(
            name=name,
            namespace=namespace,
            image=self.image,
            groups=self._groups(roles),
            pull_policy=self.pull_policy,
            environment=self.environment,
            secrets=self.secrets,
            claims=self.claims,
            service_account=self.service_account,
        )

    @contextmanager
    def open(self, roles: Sequence[str] = ROLES) -> Iterator[Cluster]:
        """Have the operator start scheduler and workers, connect, and delete them at the end; see `Profile.open`."""
        self.check(roles)
        from distributed import Security

        from ritz.compute.cluster.pods.operator import forwarded, made, own_namespace

        security = Security.temporary()
        files = {
            "ca.pem": security.tls_ca_file,
            "cert.pem": security.tls_worker_cert,
            "key.pem": security.tls_worker_key,
        }
        pods = self.pods(f"ritz-{uuid4().hex[:8]}", self.namespace or own_namespace(), roles)
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ritz-pods-")))
            for name, text in files.items():
                (folder / name).touch(0o600)
                (folder / name).write_text(text)
            stack.enter_context(made(pods, files, self.timeout))
            inside = "KUBERNETES_SERVICE_HOST" in os.environ
            address = pods.address if inside else f"tls://127.0.0.1:{stack.enter_context(forwarded(pods, PORT))}"
            attached = Pods(
                address=address,
                ca=folder / "ca.pem",
                cert=folder / "cert.pem",
                key=folder / "key.pem",
                timeout=min(300.0, self.timeout),
                device=self.train.device,
                patience=self.patience,
                name=pods.name,
                counts={group.role: group.count for group in pods.groups},
            )
            yield stack.enter_context(attached.open(roles))

    def _groups(self, roles: Sequence[str]) -> list[PodGroup]:
        from dask.utils import parse_bytes

        groups = []
        for name in roles:
            role: PodRole = getattr(self, name)
            limits: dict[str, Any] = {"nvidia.com/gpu": str(role.gpus)} if role.gpus else {}
            memory = None if role.memory in ("auto", "0") else int(parse_bytes(role.memory))
            groups.append(PodGroup(name, role.count, role.threads, memory, limits, role.node_selector))
        return groups


class Pods(Attach):
    """The scheduler of pods that the operator has made."""

    name: str = Field(description="Name of the cluster.")
    counts: Mapping[str, int] = Field({}, description="Workers per role.")

    def _start(self, role: str) -> str:
        return f"see the pods of {role!r}: kubectl get pods -l dask.org/cluster-name={self.name}"

    def _planned(self) -> Mapping[str, int]:
        return self.counts
