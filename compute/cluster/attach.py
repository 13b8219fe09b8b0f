from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from ritz.compute.cluster.dask_settings import settings
from ritz.compute.cluster.errors import ClusterError
from ritz.compute.cluster.presence import ROLES, connection
from ritz.compute.cluster.profile import Device, Profile, wait_for

if TYPE_CHECKING:
    from ritz.compute.cluster.cluster import Cluster

log = logging.getLogger("ritz")

EXAMPLE = "tcp://10.0.0.5:8786"


class Attach(Profile):
    """A running Dask scheduler, whose workers offer the resources ``solve`` and ``train``.

    Start workers with ``dask worker ADDRESS --nthreads 1 --resources solve=1`` (or ``train=1``), in an environment with
    the same versions of Ritz and of its numeric packages, where the store's URL leads to the same store. Without TLS,
    every process that reaches the port of the scheduler can run code as its owner.
    """

    kind: Literal["attach"] = "attach"
    address: str = Field(max_length=300, description=f"Address of the scheduler, e.g. '{EXAMPLE}'.")
    timeout: float = Field(30.0, gt=0, le=300, description="Seconds to wait for the scheduler, and for its workers.")
    device: Device = Field("cpu", description="Device of the arrays of its `train` workers.")
    ca: Path | None = Field(None, description="File with the certificate that signs those of the cluster; with tls://.")
    cert: Path | None = Field(None, description="File with a certificate that `ca` signs.")
    key: Path | None = Field(None, description="File with the key of `cert`; its owner alone may read it.")

    @field_validator("address")
    @classmethod
    def _scheme_host_port(cls, address: str) -> str:
        parts = urlsplit(address if "://" in address else f"tcp://{address}")
        # A port that is no number below 65536 raises by itself.
        if not parts.hostname or not parts.port or parts.scheme not in ("tcp", "tls", "ws", "wss", "ucx"):
            raise ValueError(f"expected the address that `dask scheduler` prints, e.g. '{EXAMPLE}'")
        return address

    @field_validator("ca", "cert", "key")
    @classmethod
    def _in_the_home(cls, file: Path | None) -> Path | None:
        try:
            return None if file is None else file.expanduser()
        except RuntimeError as error:
            raise ValueError(f"{str(file)!r}: {error}") from None

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        given = [name for name in ("ca", "cert", "key") if getattr(self, name) is not None]
        if given and len(given) < 3:
            raise ValueError(f"of ca, cert and key only {' and '.join(given)} is given, expected all three")
        if given and not self.address.startswith(("tls://", "wss://")):
            raise ValueError(f"address is {self.address!r}, expected one that begins with tls:// where ca is given")
        return self

    @contextmanager
    def open(self, roles: Sequence[str] = ROLES) -> Iterator[Cluster]:
        """Connect; the cluster stays when the run ends. See `Profile.open`."""
        if not self._encrypts:
            log.warning(
                "profile.address: %r is not encrypted: every process that reaches its port can run code "
                "as the owner of its workers; "
                "expected tls://, with ca, cert and key",
                self.address,
            )
        elif self.key is not None and self.key.exists() and self.key.stat().st_mode & 0o077:
            log.warning("profile.key: %r can be read by others; expected mode 0600", str(self.key))
        with self._connected(roles) as cluster:
            yield cluster

    def check(self, roles: Sequence[str] = ROLES) -> None:
        """Connect and disconnect."""
        with self._connected(roles):
            pass

    @property
    def _encrypts(self) -> bool:
        return self.address.startswith(("tls://", "wss://"))

    @contextmanager
    def _connected(self, roles: Sequence[str]) -> Iterator[Cluster]:
        from distributed import Client
        from distributed.versions import VersionMismatchWarning

        from ritz.compute.cluster.cluster import Cluster

        with settings():
            security = self._security()
            try:
                # `admission` compares the versions, and refuses workers.
                with warnings.catch_warnings(action="ignore", category=VersionMismatchWarning):
                    client = Client(self.address, timeout=self.timeout, security=security, set_as_default=False)
            except (OSError, ValueError) as error:
                trust = "a certificate of profile.ca, and" if self._encrypts else "no TLS, and else an address with"
                raise ClusterError(
                    f"profile.address: no Dask scheduler answered at {self.address!r} within {self.timeout:g} s; "
                    f"expected the address that `dask scheduler` prints, e.g. '{EXAMPLE}', and there {trust} tls://"
                ) from error
            is_connected = connection(client)
            with client:
                try:
                    with closing(
                        Cluster(
                            client,
                            self.device,
                            patience=self.patience,
                            start=self._start,
                            planned=self._planned(),
                        )
                    ) as cluster:
                        wait_for(cluster, roles, self.timeout, f"profile.address: at {self.address!r} ")
                        yield cluster
                except Exception as error:
                    if is_connected():
                        raise
                    # The lost scheduler is the cause of any error. The client reconnects until it is closed.
                    with _silent("distributed.client"):
                        client.close()
                    raise ClusterError(
                        f"profile.address: the scheduler at {self.address!r} is gone; what is committed is kept, the "
                        "same command goes on from there when it is back"
                    ) from error

    def _security(self) -> Any:
        """Return the TLS settings of the client: those of the profile, or else of Dask's own configuration."""
        from distributed import Security

        from ritz.compute.cluster.encryption import from_files

        if self.ca is not None and self.cert is not None and self.key is not None:
            try:
                return from_files(self.ca, self.cert, self.key)
            except ValueError as error:
                raise ClusterError(f"profile.{error}") from error
        configured: Any = Security()
        if self._encrypts and not (configured.tls_ca_file and configured.tls_client_cert):
            raise ClusterError(
                f"profile.ca: is not given; expected, in the file of a profile with the address {self.address!r}, the "
                "files ca, cert and key of its cluster"
            )
        return configured

    def _planned(self) -> Mapping[str, int]:
        """Return the workers per role that are to come, where that is known."""
        return {}

    def _start(self, role: str) -> str:
        tls = f" --tls-ca-file {self.ca} --tls-cert … --tls-key …" if self._encrypts else ""
        return f"start one with `dask worker {self.address}{tls} --nthreads 1 --resources {role}=1`"


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Silence a logger inside the context."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
