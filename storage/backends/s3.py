"""The connection to S3, and its errors in one line each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from ritz.storage.errors import StorageError

CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 15.0
"""Seconds until a server counts as silent; an attempt."""

ATTEMPTS = 2
"""How often a request is tried that found no server, a busy one or one in trouble."""


def filesystem() -> Any:
    """Return the file system of this process, connected by the environment and AWS's usual files.

    Raises
    ------
    StorageError
        s3fs is not installed.
    """
    # One per process: a forked child lacks the parent's event loop. A new connection costs 50 ms and more.
    return _filesystem_of(os.getpid())


@cache
def _filesystem_of(_: int) -> Any:
    try:
        from s3fs import S3FileSystem
    except ImportError as error:
        raise StorageError("a store in a bucket needs s3fs: pip install 'ritz[s3]'") from error
    found = S3FileSystem(
        # Another process writes too: no cache of listings.
        use_listings_cache=False,
        skip_instance_cache=True,
        # botocore reads AWS_DEFAULT_REGION alone.
        client_kwargs={"region_name": os.environ.get("AWS_REGION") or None},
        config_kwargs={
            "connect_timeout": CONNECT_TIMEOUT,
            "read_timeout": READ_TIMEOUT,
            "retries": {"total_max_attempts": ATTEMPTS, "mode": "standard"},
        },
    )
    # botocore tries again already; this is for an answer that breaks off.
    found.retries = 2
    return found


def endpoint() -> tuple[str, str | None]:
    """Return the address that the environment and AWS's usual files name, and the region if they name one."""
    client = filesystem().s3
    return str(client.meta.endpoint_url), client.meta.region_name


@contextmanager
def translated(action: str, url: str) -> Iterator[None]:
    """Turn what a request to S3 raises into one line: ``cannot read s3://bucket/key: why``."""
    try:
        yield
    except StorageError:
        raise
    except _errors() as error:
        raise StorageError(f"cannot {action} {url}: {_reason(error)}") from error


def code(error: BaseException) -> str:
    """Return the code of S3's answer, such as ``"NoSuchBucket"``; ``""`` where there was no answer."""
    from botocore.exceptions import ClientError

    for one in (error, error.__cause__):
        if isinstance(one, ClientError):
            return str(one.response["Error"].get("Code", ""))
    return ""


def _errors() -> tuple[type[Exception], ...]:
    # s3fs turns most of what the server answers into the errors of Python.
    from botocore.exceptions import BotoCoreError, ClientError

    return OSError, BotoCoreError, ClientError


def _reason(error: Exception) -> str:
    from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError

    message = (str(error).strip() or type(error).__name__).split("\n")[0]
    if code(error) == "NoSuchBucket":
        return "there is no such bucket; make it first"
    if isinstance(error, NoCredentialsError):
        return "no credentials found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    if isinstance(error, PermissionError):
        return f"access denied ({message}); check the credentials in the environment and what they allow"
    if isinstance(error, EndpointConnectionError | ConnectTimeoutError | ReadTimeoutError | TimeoutError):
        # Without a name and a password that it may hold.
        where = urlsplit(endpoint()[0])
        host = f"{where.hostname}:{where.port}" if where.port else where.hostname
        return f"no answer from {where.scheme}://{host}; check AWS_ENDPOINT_URL and the network"
    return message
