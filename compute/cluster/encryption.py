from __future__ import annotations

from pathlib import Path
from ssl import SSLContext, SSLError
from typing import NamedTuple

from distributed import Security


class Certificate(NamedTuple):
    """A self-signed certificate and its key, as PEM texts; processes that hold both authenticate each other.

    Both stay in memory, and reach other processes through a pipe or over the connections of the cluster. OpenSSL reads
    them from files: these exist for that instant, in a folder that only its owner can read.
    """

    certificate: str
    key: str

    @classmethod
    def temporary(cls) -> Certificate:
        """Return a new certificate, valid for a year."""
        made = Security.temporary()
        return cls(made.tls_worker_cert, made.tls_worker_key)

    def server_context(self) -> SSLContext:
        """Return the TLS context of a listener, which accepts callers with the same certificate."""
        context: SSLContext = self._security().get_listen_args("worker")["ssl_context"]
        return context

    def client_context(self) -> SSLContext:
        """Return the TLS context of a caller, which accepts a listener with the same certificate."""
        context: SSLContext = self._security().get_connection_args("worker")["ssl_context"]
        return context

    def _security(self) -> Security:
        return Security(
            require_encryption=True,
            tls_ca_file=self.certificate,
            tls_worker_cert=self.certificate,
            tls_worker_key=self.key,
        )


def from_files(ca: Path, cert: Path, key: Path) -> Security:
    """Return the TLS settings of a client from the files of its certificate.

    Raises
    ------
    ValueError
        If a file cannot be read or has other contents; the message begins with the name of the parameter.
    """
    for name, file in (("ca", ca), ("cert", cert), ("key", key)):
        try:
            file.read_bytes()
        except OSError as error:
            raise ValueError(f"{name}: {str(file)!r} cannot be read ({error.strerror})") from error
    security = Security(
        require_encryption=True, tls_ca_file=str(ca), tls_client_cert=str(cert), tls_client_key=str(key)
    )
    try:
        security.get_connection_args("client")
    except SSLError as error:
        raise ValueError(
            f"ca, cert, key: {str(ca)!r}, {str(cert)!r} and {str(key)!r} are no two certificates in PEM and the key of "
            f"the second ({error})"
        ) from error
    return security
