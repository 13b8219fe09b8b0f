"""What the Dask operator is asked for: held against its own schema, and its containers run as processes."""

from __future__ import annotations

import importlib.util
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from ritz.compute.cluster.errors import ClusterError
from ritz.compute.cluster.pods.kubernetes import Kubernetes, PodRole, Pods
from ritz.compute.cluster.pods.manifests import TLS, PodCluster
from tests.compute.cluster.work import environment
from tests.patience import until

PROFILE = Kubernetes(
    image="registry/ritz:1",
    solve=PodRole(count=8, threads=2, memory="4GiB", node_selector={"pool": "cpu"}),
    train=PodRole(threads=4, gpus=1, device="cuda"),
    environment={"AWS_REGION": "eu-central-1"},
    secrets=("bucket",),
    claims={"store": "/shared"},
    service_account="ritz",
    pull_policy="Always",
)

PODS = PROFILE.pods("ritz-1", "surrogates")

FILES = {"ca.pem": "A", "cert.pem": "B", "key.pem": "C"}


def container(pods: PodCluster, role: str) -> dict[str, Any]:
    """Return the container of the workers of a role, or of the scheduler."""
    spec = pods.cluster()["spec"]
    if role == "scheduler":
        found = spec["scheduler"]
    elif role == "solve":
        found = spec["worker"]
    else:
        (group,) = pods.further_groups()
        found = group["spec"]["worker"]
    (one,) = found["spec"]["containers"]
    assert isinstance(one, dict)
    return one


def option(arguments: list[str], name: str) -> str:
    assert arguments.count(name) == 1
    return arguments[arguments.index(name) + 1]


def variables(one: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in one["env"]}


def test_solve_pods_ask_for_what_the_profile_says() -> None:
    cluster = PODS.cluster()
    assert (cluster["apiVersion"], cluster["kind"]) == ("kubernetes.dask.org/v1", "DaskCluster")
    assert cluster["metadata"] == {"name": "ritz-1"}
    assert cluster["spec"]["worker"]["replicas"] == 8
    pod, one = cluster["spec"]["worker"]["spec"], container(PODS, "solve")
    assert (one["image"], one["imagePullPolicy"]) == ("registry/ritz:1", "Always")
    assert one["resources"]["limits"] == one["resources"]["requests"] == {"cpu": "2", "memory": str(4 * 2**30)}
    assert one["args"][:3] == ["python", "-m", "ritz.compute.cluster.program"]
    for name, value in {
        "--name": "$(DASK_WORKER_NAME)",
        "--nthreads": "1",
        "--memory-limit": str(4 * 2**30),
        "--resources": "solve=1",
        "--protocol": "tls",
        "--tls-ca-file": f"{TLS}/ca.pem",
        "--tls-cert": f"{TLS}/cert.pem",
        "--tls-key": f"{TLS}/key.pem",
        "--dashboard-address": "127.0.0.1:0",
        "--death-timeout": "60",
    }.items():
        assert option(one["args"], name) == value
    assert variables(one) == {
        "DASK_SCHEDULER_ADDRESS": "tls://ritz-1-scheduler.surrogates.svc:8786",
        **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "2"),
        "PYTHONSAFEPATH": "1",
        "AWS_REGION": "eu-central-1",
    }
    assert one["envFrom"] == [{"secretRef": {"name": "bucket"}}]
    assert one["volumeMounts"] == [
        {"name": "tls", "mountPath": TLS, "readOnly": True},
        {"name": "store", "mountPath": "/shared"},
    ]
    assert pod["volumes"] == [
        {"name": "tls", "secret": {"secretName": "ritz-1-tls"}},
        {"name": "store", "persistentVolumeClaim": {"claimName": "store"}},
    ]
    assert (pod["nodeSelector"], pod["serviceAccountName"]) == ({"pool": "cpu"}, "ritz")


def test_train_pods_are_a_group_of_their_own() -> None:
    (group,) = PODS.further_groups()
    assert (group["kind"], group["metadata"]["name"]) == ("DaskWorkerGroup", "ritz-1-train")
    assert (group["spec"]["cluster"], group["spec"]["worker"]["replicas"]) == ("ritz-1", 1)
    one = container(PODS, "train")
    assert one["resources"]["limits"] == {"cpu": "4", "nvidia.com/gpu": "1"}
    assert (option(one["args"], "--resources"), option(one["args"], "--memory-limit")) == ("train=1", "auto")
    assert "nodeSelector" not in group["spec"]["worker"]["spec"]


def test_the_scheduler_is_encrypted_and_probed_without_pages() -> None:
    spec, one = PODS.cluster()["spec"]["scheduler"], container(PODS, "scheduler")
    assert option(one["args"], "--protocol") == "tls"
    assert option(one["args"], "--tls-key") == f"{TLS}/key.pem"
    assert variables(one)["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "true"
    assert one["readinessProbe"]["tcpSocket"] == one["livenessProbe"]["tcpSocket"] == {"port": "tcp-comm"}
    assert "envFrom" not in one, "the scheduler needs no credentials of the store"
    assert spec["service"]["ports"] == [{"name": "tcp-comm", "protocol": "TCP", "port": 8786, "targetPort": "tcp-comm"}]
    assert spec["service"]["selector"] == {"dask.org/cluster-name": "ritz-1", "dask.org/component": "scheduler"}


def test_the_key_stands_in_the_secret_alone() -> None:
    files = {**FILES, "key.pem": "-----PRIVATE-----"}
    secret = PODS.secret(files)
    assert secret["stringData"] == files
    assert (secret["kind"], secret["metadata"]["name"]) == ("Secret", "ritz-1-tls")
    assert "PRIVATE" not in str([PODS.cluster(), *PODS.further_groups()])


def _unknown(document: Any, schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield the fields that a schema does not have: Kubernetes drops them without a word."""
    if isinstance(document, list):
        for entry in document:
            yield from _unknown(entry, schema.get("items", {}), path)
    elif isinstance(document, dict) and "properties" in schema:
        for name, value in document.items():
            if name not in schema["properties"]:
                yield f"{path}.{name}"
            else:
                yield from _unknown(value, schema["properties"][name], f"{path}.{name}")


@pytest.mark.parametrize("kind", ["daskcluster", "daskworkergroup"])
def test_the_operator_s_own_schema_has_every_field(kind: str) -> None:
    spec = importlib.util.find_spec("dask_kubernetes")
    assert spec is not None
    assert spec.origin is not None
    chart = Path(spec.origin).parent / "operator" / "deployment" / "helm" / "dask-kubernetes-operator" / "crds"
    definition = yaml.safe_load((chart / f"{kind}.yaml").read_text(encoding="utf-8"))
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    (document,) = [PODS.cluster()] if kind == "daskcluster" else PODS.further_groups()
    jsonschema.validate(document["spec"], schema["properties"]["spec"])
    assert list(_unknown(document["spec"], schema["properties"]["spec"])) == []
    # The check itself sees what is misspelt.
    document["spec"]["cluster" if kind == "daskcluster" else "workers"] = "x"
    assert list(_unknown(document["spec"], schema["properties"]["spec"]))


@contextmanager
def _process(one: dict[str, Any], folder: Path, port: int, name: str = "") -> Iterator[None]:
    """Run a container as a process of this machine: its arguments and variables, with other places."""
    where = {
        **variables(one),
        "DASK_WORKER_NAME": name,
        "DASK_SCHEDULER_ADDRESS": f"tls://127.0.0.1:{port}",
        # An image has what is sent to it installed; the work of these tests lies in the checkout.
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    given = [re.sub(r"\$\((\w+)\)", lambda match: where[match[1]], argument) for argument in one["args"]]
    given = [argument.replace(TLS, str(folder)).replace("8786", str(port)) for argument in given]
    assert given[0] == "python"
    with (folder / f"{one['name']}.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, *given[1:], "--host", "127.0.0.1"], env={**os.environ, **where}, stderr=log, stdout=log
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_the_containers_work_together_and_admit_nobody_without_the_certificate(tmp_path: Path) -> None:
    from distributed import Security

    made = Security.temporary()
    for name, text in (("ca", made.tls_ca_file), ("cert", made.tls_worker_cert), ("key", made.tls_worker_key)):
        (tmp_path / f"{name}.pem").touch(0o600)
        (tmp_path / f"{name}.pem").write_text(text)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    files = {name: tmp_path / f"{name}.pem" for name in ("ca", "cert", "key")}
    with ExitStack() as stack:
        stack.enter_context(_process(container(PODS, "scheduler"), tmp_path, port))
        for role in ("solve", "train"):
            stack.enter_context(_process(container(PODS, role), tmp_path, port, name=f"{role}-pod"))
        attached = Pods(address=f"tls://127.0.0.1:{port}", timeout=60, name="ritz-1", counts={"solve": 8}, **files)
        with attached.open() as cluster:
            assert (cluster.workers("solve"), cluster.workers("train"), cluster.expected("solve")) == (1, 1, 8)
            solve, train = cluster.call("solve", environment), cluster.call("train", environment)
            assert (solve["threads"], train["threads"]) == ("2", "4")
            assert {about["name"] for about in cluster.known().values()} == {"solve-pod", "train-pod"}
            # A worker tells its usage from the first heartbeat after its admission.
            until(lambda: cluster.known() and cluster.usage().workers == 2)
        with pytest.raises(ClusterError, match="no Dask scheduler answered"):
            Pods(address=f"tcp://127.0.0.1:{port}", timeout=2, name="ritz-1").check()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"image": ""}, "image"),
        ({"image": "i", "solve": {"device": "cuda"}}, "device is 'cuda', expected 'cpu'"),
        ({"image": "i", "claims": {"store": "shared"}}, "expected absolute paths, got 'shared'"),
        ({"image": "i", "namespace": "Not_A_Name"}, "namespace"),
        ({"image": "i", "environment": {"AWS_SECRET_ACCESS_KEY": "x"}}, "expected it in one of `secrets`"),
        ({}, "image"),
    ],
)
def test_a_bad_field_is_refused_by_name(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Kubernetes.model_validate(fields)


def test_a_machine_without_the_extra_or_a_configuration_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with pytest.raises(ClusterError, match=r"^profile.kind: no Kubernetes can be reached \(.*\); expected one"):
        PROFILE.check()
    monkeypatch.setitem(sys.modules, "dask_kubernetes", None)
    with pytest.raises(ClusterError, match=r"^profile.kind: kubernetes needs.*pip install 'ritz\[kubernetes\]'$"):
        PROFILE.check()
