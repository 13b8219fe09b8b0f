"""The objects of Kubernetes that make up a cluster: a secret with the certificate, a scheduler, a group per role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ritz.compute.cluster.forking import THREADS

API = "kubernetes.dask.org/v1"

PORT = 8786
"""Port of the scheduler."""

TLS = "/etc/ritz/tls"
"""Folder of a container with ``ca.pem``, ``cert.pem`` and ``key.pem``."""

DEATH_TIMEOUT = 60
"""Seconds after which a worker without a scheduler ends; Kubernetes then starts it again, while its group is there."""

Manifest = dict[str, Any]


@dataclass(frozen=True)
class PodGroup:
    """Pods of one role.

    Attributes
    ----------
    memory
        Bytes; None for no limit.
    limits
        Further resources of a pod, e.g. ``nvidia.com/gpu``.
    """

    role: str
    count: int
    threads: int
    memory: int | None
    limits: Mapping[str, str] = field(default_factory=dict)
    node_selector: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PodCluster:
    """A cluster of pods, for the Dask operator.

    Attributes
    ----------
    name
        Of the cluster; begins the names of all its objects.
    environment
        Further variables of all containers.
    secrets
        Secrets whose entries are variables of the workers, e.g. with the credentials of a bucket.
    claims
        Volume claim → path at which the workers see it.
    """

    name: str
    namespace: str
    image: str
    groups: Sequence[PodGroup]
    pull_policy: str = "IfNotPresent"
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Sequence[str] = ()
    claims: Mapping[str, str] = field(default_factory=dict)
    service_account: str | None = None

    @property
    def address(self) -> str:
        """Address of the scheduler inside the cluster of Kubernetes."""
        return f"tls://{self.name}-scheduler.{self.namespace}.svc:{PORT}"

    @property
    def secret_name(self) -> str:
        """Name of the secret with the certificate."""
        return f"{self.name}-tls"

    def secret(self, files: Mapping[str, str]) -> Manifest:
        """Return the secret with the files of the certificate, by their names."""
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": self.secret_name, "labels": {"dask.org/cluster-name": self.name}},
            "type": "Opaque",
            "stringData": dict(files),
        }

    def cluster(self) -> Manifest:
        """Return the object of the operator with the scheduler and the first group of workers."""
        labels = {"dask.org/cluster-name": self.name, "dask.org/component": "scheduler"}
        return {
            "apiVersion": API,
            "kind": "DaskCluster",
            "metadata": {"name": self.name},
            "spec": {
                "worker": self._workers(self.groups[0]),
                "scheduler": {
                    "spec": self._pod(self._scheduler()),
                    "service": {
                        "type": "ClusterIP",
                        "selector": labels,
                        "ports": [{"name": "tcp-comm", "protocol": "TCP", "port": PORT, "targetPort": "tcp-comm"}],
                    },
                },
            },
        }

    def further_groups(self) -> list[Manifest]:
        """Return an object of the operator per further group of workers."""
        return [
            {
                "apiVersion": API,
                "kind": "DaskWorkerGroup",
                "metadata": {"name": f"{self.name}-{group.role}", "labels": {"dask.org/cluster-name": self.name}},
                "spec": {"cluster": self.name, "worker": self._workers(group)},
            }
            for group in self.groups[1:]
        ]

    def _workers(self, group: PodGroup) -> Manifest:
        mounts = [{"name": claim, "mountPath": path} for claim, path in self.claims.items()]
        volumes = [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in self.claims]
        limits = {"cpu": str(group.threads), **group.limits}
        if group.memory is not None:
            limits["memory"] = str(group.memory)
        worker = {
            **self._container("worker"),
            "args": [
                *("python", "-m", "ritz.compute.cluster.program", "--name", "$(DASK_WORKER_NAME)"),
                *("--nthreads", "1", "--memory-limit", "auto" if group.memory is None else str(group.memory)),
                *("--resources", f"{group.role}=1", "--death-timeout", str(DEATH_TIMEOUT)),
                *("--preload", "ritz.compute.cluster.pages", *_tls()),
            ],
            "env": _variables(
                {
                    # The operator itself would give an address without TLS.
                    "DASK_SCHEDULER_ADDRESS": self.address,
                    **dict.fromkeys(THREADS, str(group.threads)),
                    "PYTHONSAFEPATH": "1",
                    **self.environment,
                }
            ),
            "resources": {"limits": limits, "requests": limits},
        }
        if self.secrets:
            worker["envFrom"] = [{"secretRef": {"name": name}} for name in self.secrets]
        worker["volumeMounts"] = [*worker["volumeMounts"], *mounts]
        pod = self._pod(worker)
        pod["volumes"] = [*pod["volumes"], *volumes]
        if group.node_selector:
            pod["nodeSelector"] = dict(group.node_selector)
        return {"replicas": group.count, "spec": pod}

    def _scheduler(self) -> Manifest:
        # Dask's pages, by which the operator's own probes ask, are off.
        probe = {"tcpSocket": {"port": "tcp-comm"}, "periodSeconds": 5}
        return {
            **self._container("scheduler"),
            "args": [
                *("python", "-m", "distributed.cli.dask_scheduler", "--port", str(PORT), "--no-dashboard"),
                *("--preload", "ritz.compute.cluster.pages", *_tls()),
            ],
            "env": _variables(
                {
                    "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true",
                    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "20",
                    "DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES": "[]",
                    "PYTHONSAFEPATH": "1",
                    **self.environment,
                }
            ),
            "ports": [{"name": "tcp-comm", "containerPort": PORT, "protocol": "TCP"}],
            "readinessProbe": probe,
            "livenessProbe": {**probe, "initialDelaySeconds": 60, "periodSeconds": 20},
        }

    def _container(self, name: str) -> Manifest:
        return {
            "name": name,
            "image": self.image,
            "imagePullPolicy": self.pull_policy,
            "securityContext": {"allowPrivilegeEscalation": False},
            "volumeMounts": [{"name": "tls", "mountPath": TLS, "readOnly": True}],
        }

    def _pod(self, container: Manifest) -> Manifest:
        pod: Manifest = {
            "containers": [container],
            "volumes": [{"name": "tls", "secret": {"secretName": self.secret_name}}],
            # Nothing in the pods asks Kubernetes.
            "automountServiceAccountToken": False,
        }
        if self.service_account is not None:
            pod |= {"serviceAccountName": self.service_account, "automountServiceAccountToken": True}
        return pod


def _tls() -> list[str]:
    """Return the options of a scheduler or a worker for encrypted connections alone, with its pages on loopback."""
    return [
        *("--protocol", "tls", "--dashboard-address", "127.0.0.1:0"),
        *("--tls-ca-file", f"{TLS}/ca.pem", "--tls-cert", f"{TLS}/cert.pem", "--tls-key", f"{TLS}/key.pem"),
    ]


def _variables(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]
