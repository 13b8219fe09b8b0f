from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from ritz.storage.backends import lease
from ritz.storage.backends.s3 import code, endpoint, filesystem, translated
from ritz.storage.errors import StorageError
from ritz.storage.wording import shown

if TYPE_CHECKING:
    import icechunk

# Safe in keys by S3's documentation; s3fs takes some others for patterns. Without ":" and "@" no URL that holds
# credentials is one of these.
_SAFE = re.compile(r"[A-Za-z0-9!_.'()=+,-]+")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")

_REFUSED = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_ABSENT = {"NoSuchKey", "404"}


@dataclass(frozen=True)
class ObjectState:
    """State of an object at a request."""

    data: bytes
    etag: str
    """S3's tag of this content; other content has another tag."""
    age: float
    """Seconds since it was written, by the server's clock, to the second."""


class Bucket:
    """A store that is a prefix in an S3 bucket; see `ritz.storage.store.Store` for the contract of its methods.

    An object is written whole or not at all by S3 itself. Nothing is renamed.

    Parameters
    ----------
    text
        ``s3://bucket`` or ``s3://bucket/prefix``.

    Raises
    ------
    StorageError
        It is something else, or holds credentials, which the message does not repeat.
    """

    def __init__(self, text: str) -> None:
        scheme, rest = text[:2], text[2:].removeprefix("://")
        if set("@:?#") & set(rest):
            raise StorageError(
                f"store '{scheme}://…': expected s3://bucket/prefix and nothing else; credentials, region and endpoint "
                "are read from the environment (AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, …) or "
                "from the files in ~/.aws"
            )
        self.bucket, *folders = rest.rstrip("/").split("/")
        good = all(_SAFE.fullmatch(folder) and folder not in (".", "..") for folder in folders)
        if not text[2:].startswith("://") or not _BUCKET.fullmatch(self.bucket) or not good:
            raise StorageError(f"store {shown(text)}: expected s3://bucket/prefix, of letters, digits and -_.!'()=+,")
        self._prefix = "".join(f"{folder}/" for folder in folders)

    @property
    def url(self) -> str:
        """``s3://bucket/prefix``."""
        return f"s3://{self.bucket}/{self._prefix}".rstrip("/")

    def location(self, key: str) -> str:
        """Return the URL of ``key``."""
        return f"s3://{self.bucket}/{self._prefix}{key}"

    def repository(self, key: str) -> icechunk.Storage:
        """Return the engine's storage of a repository at ``key``; the engine finds credentials by itself."""
        import icechunk

        with translated("open", self.url):
            address, region = endpoint()
        parts = urlsplit(address)
        return icechunk.s3_storage(
            bucket=self.bucket,
            prefix=self._prefix + key,
            region=region,
            endpoint_url=address,
            allow_http=parts.scheme == "http",
            # As botocore does: other servers than Amazon's seldom have a host name per bucket.
            force_path_style=not str(parts.hostname).endswith((".amazonaws.com", ".amazonaws.com.cn")),
            from_env=True,
        )

    def check_writable(self) -> None:
        """Check that the bucket is writable, and that its server respects conditional writes."""
        key = f".probe-{uuid4().hex}"
        with translated("write", self.url):
            kept = self._put(key, b"1", None) is not None and self._put(key, b"2", None) is None
            filesystem().rm_file(self._path(key))
        if not kept:
            raise StorageError(
                f"store {self.url!r}: its server overwrites an object in spite of If-None-Match, so that two processes "
                "could work on one dataset; take a server that respects conditional writes"
            )

    def read(self, key: str, most: int | None = None) -> bytes:
        """Return the content of an object."""
        # To know its size first would take a request more.
        del most
        with translated("read", self.location(key)):
            # More would ask for the size first.
            data: bytes = filesystem().cat_file(self._path(key), max_concurrency=1)
            return data

    def write(self, key: str, data: bytes, new: bool) -> None:
        """Put an object; large ones in parts, which appear together. A browser shows what its name says it is."""
        try:
            with translated("write", self.location(key)):
                mode = "create" if new else "overwrite"
                filesystem().pipe_file(self._path(key), data, mode=mode, **_content_type(key))
        except StorageError as error:
            if new and code(error.__cause__ or error) in _REFUSED:
                raise StorageError(f"cannot write {self.location(key)}: it exists already") from error
            raise

    def exists(self, key: str) -> bool:
        """Return whether there is an object ``key``, or one below it."""
        with translated("read", self.location(key)):
            try:
                filesystem().info(self._path(key))
            except FileNotFoundError as error:
                if code(error) == "NoSuchBucket":
                    raise
                return False
            return True

    def list(self, prefix: str) -> list[str]:
        """Return the first part of the keys below ``prefix``."""
        with translated("list", self.location(prefix)):
            found = {key.strip("/") for key in self._below(f"{self._prefix}{prefix}/")}
        return sorted(name for name in found if name and not name.startswith("."))

    def documents(self, prefix: str, file: str) -> dict[str, bytes | StorageError]:
        """Return the object of this name from every folder in ``prefix`` that has it; they are read side by side."""
        with translated("list", self.location(prefix)):
            entries = [key for key in self._below(f"{self._prefix}{prefix}/") if key and not key.startswith(".")]
        paths = {self._path(f"{prefix}/{name}{file}"): name[:-1] for name in sorted(entries) if name.endswith("/")}
        with translated("read", self.location(prefix)):
            answers: dict[str, bytes | Exception] = (
                filesystem().cat(list(paths), on_error="return", max_concurrency=1) if paths else {}
            )
        found: dict[str, bytes | StorageError] = {
            name: StorageError(f"cannot list {self.location(f'{prefix}/{name}')}: it is an object, no folder")
            for name in entries
            if not name.endswith("/")
        }
        for path, name in paths.items():
            answer = answers.get(path, FileNotFoundError())
            if isinstance(answer, bytes):
                found[name] = answer
            elif not isinstance(answer, FileNotFoundError):
                found[name] = self._unread(f"{prefix}/{name}/{file}", answer)
        return dict(sorted(found.items()))

    def _unread(self, key: str, error: Exception) -> StorageError:
        try:
            with translated("read", self.location(key)):
                raise error
        except StorageError as unread:
            return unread

    def absent(self) -> str:
        """Return nothing: a bucket that is not there is an error of every call."""
        return ""

    def remove(self, key: str) -> None:
        """Remove all objects below ``key``."""
        with translated("remove", self.location(key)):
            below = filesystem().find(self._path(key))
            if below:
                filesystem().rm(below)
                # The server does not report a refusal to remove one of many.
                left = filesystem().find(self._path(key))
                if left:
                    raise StorageError(f"cannot remove s3://{left[0]}: the server keeps it")

    def size(self, key: str) -> int:
        """Return the bytes of all objects below ``key``."""
        with translated("list", self.location(key)):
            below = filesystem().find(self._path(key), detail=True)
        return sum(int(one["size"]) for one in below.values())

    def lock(self, key: str, what: str, wait: float) -> AbstractContextManager[None]:
        """Hold a lock object; see `ritz.storage.backends.lease.leased`."""
        return lease.leased(self, key, what, wait)

    def holder(self, key: str) -> str | None:
        """Return the holder of the lock object; see `ritz.storage.backends.lease.holder`."""
        return lease.holder(self, key)

    def held_by(self, key: str, holder: str) -> bool:
        """Return whether the lock object names a holder; its lease may have expired unless another process took it."""
        return lease.last_holder(self, key) == holder

    def holds(self, key: str, ask: bool) -> bool:
        """Return whether this process holds the lock object."""
        return lease.held(self, key, ask)

    def links(self, key: str, depth: int | None) -> Sequence[str]:
        """Return no links: there are none in a bucket."""
        del key, depth
        return []

    def state(self, key: str) -> ObjectState | None:
        """Return an object with its ETag and age, None if there is none."""
        with translated("read", self.location(key)):
            try:
                answer = filesystem().call_s3("get_object", Bucket=self.bucket, Key=self._prefix + key)
            except FileNotFoundError as error:
                if code(error) in _ABSENT:
                    return None
                raise
            now: datetime = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
            data: bytes = _content(answer["Body"])
        return ObjectState(data, answer["ETag"], (now - answer["LastModified"]).total_seconds())

    def put_if(self, key: str, data: bytes, etag: str | None) -> str | None:
        """Put an object if the one there has this ETag, or if there is none where the ETag is None.

        Returns
        -------
        str or None
            The new ETag; None where the condition does not hold, and nothing was written.
        """
        with translated("write", self.location(key)):
            return self._put(key, data, etag)

    def _put(self, key: str, data: bytes, etag: str | None) -> str | None:
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        try:
            answer = filesystem().call_s3(
                "put_object", Bucket=self.bucket, Key=self._prefix + key, Body=data, **condition
            )
        except OSError as error:
            if code(error) not in _REFUSED | _ABSENT:
                raise
            # The answer to a first attempt may have been lost, and the second one found what the first had written.
            state = self.state(key)
            return state.etag if state is not None and state.data == data else None
        return str(answer["ETag"])

    def _path(self, key: str) -> str:
        return f"{self.bucket}/{self._prefix}{key}"

    def _below(self, prefix: str) -> Iterator[str]:
        more: dict[str, str] = {}
        while True:
            page = filesystem().call_s3("list_objects_v2", Bucket=self.bucket, Prefix=prefix, Delimiter="/", **more)
            for entry in (*page.get("CommonPrefixes", ()), *page.get("Contents", ())):
                yield (entry.get("Prefix") or entry["Key"])[len(prefix) :]
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}


def _content_type(key: str) -> dict[str, str]:
    kind, _ = mimetypes.guess_type(key)
    if kind is None:
        return {}
    return {"ContentType": f"{kind}; charset=utf-8" if kind.startswith("text/") else kind}


def _content(body: Any) -> bytes:
    from fsspec.asyn import sync

    data: bytes = sync(filesystem().loop, body.read)
    return data
