from __future__ import annotations

from pathlib import Path
from ssl import SSLContext, SSLError
from typing import NamedTuple

from distributed import Security


class Certificate(NamedTuple):
    """A certificate that signs itself, and its key, as PEM texts: those who have both know each other by them.

    They are in memory alone, and go to other processes through a pipe or over the connections of the cluster; what
    OpenSSL can read from files only lies for that instant in a folder of the owner's alone.
    """

    certificate: str
    key: str

    @classmethod
    def temporary(cls) -> Certificate:
        """Return a new one, which is good for a year."""
        made = Security.temporary()
        return cls(made.tls_worker_cert, made.tls_worker_key)

    def listens(self) -> SSLContext:
        """Return the TLS of who is called; who calls has to show the same certificate."""
        context: SSLContext = self._security().get_listen_args("worker")["ssl_context"]
        return context

    def calls(self) -> SSLContext:
        """Return the TLS of who calls; who is called has to show the same certificate."""
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
    """Return the TLS of a client that has a certificate of its own.

    Raises
    ------
    ValueError
        If one of the files cannot be read or holds something else; the message begins with its name.
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
