"""The files of a model, looked through."""

from __future__ import annotations

import logging

from ritz.storage import models
from ritz.storage.errors import StorageError, Unknown
from ritz.storage.integrity.located import locate
from ritz.storage.store import Store
from ritz.tasks.auditing.audit_record import Check, ModelAudit, ModelFinding
from ritz.tasks.documents import of_model
from ritz.tasks.documents.law_calibration import is_bands

log = logging.getLogger("ritz")

CHECKS = {
    "files": "every file has the bytes that were written, and nothing else lies there",
    "opens": "weights and bands can be read",
    "dataset": "the state of the dataset that the model was trained on is there",
}
"""What is checked, in this order, and what is expected."""


def audit(store_url: str, spec: str) -> ModelAudit:
    """Look for anything in a version of a model that is not as it was saved; nothing is computed.

    Parameters
    ----------
    spec
        ``NAME[@VERSION]``.

    Raises
    ------
    ritz.storage.errors.Unknown
        If there is no such model or version.
    """
    store = Store(store_url)
    name, version = models.named(store, spec)
    damaged, count, digests = models.check(store, name, version)
    found = {"files": (count, [str(error) for error in damaged])}
    if not damaged:
        found |= {"opens": _opens(store, f"{name}@{version}"), "dataset": _source(store, f"{name}@{version}")}
    findings = [ModelFinding(check=check, text=text) for check, (_, texts) in found.items() for text in texts]
    if not digests:
        log.warning(
            "model %s@%s was saved by a release that wrote no digests: a changed byte goes unseen where it can still "
            "be read",
            name,
            version,
        )
    return ModelAudit(
        model=name,
        version=version,
        clean=not findings,
        digests=digests,
        checks={
            check: Check(checked=checked, bad=len(texts), expected=CHECKS[check])
            for check, (checked, texts) in found.items()
        },
        findings=tuple(findings),
    )


def _opens(store: Store, spec: str) -> tuple[int, list[str]]:
    from ritz.compute.fields.tensors import unpack
    from ritz.compute.uncertainty.catalogue import calibrated

    files, _ = models.load(store, spec)
    readers = {"model.safetensors": unpack, "mesh.safetensors": unpack, "bands.json": calibrated}
    readers |= {file: calibrated for file in files if is_bands(file)}
    texts = []
    for file in sorted(set(readers) & set(files)):
        try:
            readers[file](files[file])
        except (ValueError, KeyError, TypeError) as error:
            texts.append(f"model {spec}: {file} cannot be read: {error}")
    if "model.safetensors" not in files:
        texts.append(f"model {spec}: model.safetensors is missing")
    return len(set(readers) & set(files)), texts


def _source(store: Store, spec: str) -> tuple[int, list[str]]:
    try:
        source = of_model.card(store, spec).dataset
        locate(store, f"{source.name}@{source.snapshot}")
    except Unknown:
        what = f"{source.spec}, snapshot {source.snapshot}"
        return 1, [f"model {spec} was trained on {what}, which is gone"]
    except StorageError as error:
        return 1, [f"model {spec}: {error}"]
    return 1, []
