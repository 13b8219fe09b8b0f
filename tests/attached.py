"""Lets commands in processes of their own work on a local cluster of the tests."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from weakref import WeakKeyDictionary

import yaml

from ritz.compute.cluster.cluster import Cluster

_PROFILES: WeakKeyDictionary[Cluster, str] = WeakKeyDictionary()


def profile(cluster: Cluster) -> str:
    """Return the file of a profile that attaches to a cluster, beside its certificate; both go when that does."""
    if cluster not in _PROFILES:
        folder = Path(tempfile.mkdtemp(prefix="ritz-attached-"))
        weakref.finalize(cluster, shutil.rmtree, folder, ignore_errors=True)
        document = {"kind": "attach", "address": cluster.client.scheduler_info()["address"]}
        security = cluster.client.security
        for name, text in (
            ("ca", security.tls_ca_file),
            ("cert", security.tls_client_cert),
            ("key", security.tls_client_key),
        ):
            file = folder / f"{name}.pem"
            file.touch(0o600)
            file.write_text(text)
            document[name] = str(file)
        file = folder / "attached.yaml"
        file.write_text(yaml.safe_dump(document))
        _PROFILES[cluster] = str(file)
    return _PROFILES[cluster]
