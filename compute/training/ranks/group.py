from __future__ import annotations

import json
import socket
import struct
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

PATIENCE = timedelta(days=1)
"""How long a rank waits for the others in one step: as long as solvers may let one of them wait for samples.

A process that dies closes its connections, which the others see at once.
"""

_LENGTH = struct.Struct("<Q")
"""What goes before every message: its number of bytes."""


class PeerLost(RuntimeError):
    """Another rank of the group has died, failed or kept silent; the group can go on from its checkpoint."""


class Group(ABC):
    """The trainers that take one step together, each on samples of its own; this process is one of them.

    All of them call the same methods in the same order, and each call waits for all. What they tell each other is
    tensors, JSON and safetensors: nothing is unpickled.

    Attributes
    ----------
    rank, size
        Number of this process, from 0, and how many there are.
    """

    rank: int
    size: int

    @abstractmethod
    def gather(self, value: torch.Tensor) -> Sequence[torch.Tensor]:
        """Return the tensors of all ranks, of one shape, type and device, in the order of the ranks.

        Raises
        ------
        PeerLost
            If one of them is gone.
        """

    @abstractmethod
    def exchange(self, message: bytes) -> Sequence[bytes]:
        """Return the messages of all ranks, in their order.

        Raises
        ------
        PeerLost
            If one of them is gone.
        """

    def collect(self, value: Any) -> list[Any]:
        """Return what all ranks give, in their order: anything that JSON can hold; tuples come back as lists.

        Numbers may be infinite or NaN.

        Raises
        ------
        PeerLost
            If one of them is gone.
        """
        return [json.loads(message) for message in self.exchange(json.dumps(value).encode())]


class Alone(Group):
    """A group of one."""

    rank, size = 0, 1

    def gather(self, value: torch.Tensor) -> Sequence[torch.Tensor]:
        """Return the one tensor."""
        return (value,)

    def exchange(self, message: bytes) -> Sequence[bytes]:
        """Return the one message."""
        return (message,)


class Ranks(Group):
    """Several processes, each with a connection to each of the others; between GPUs of one machine tensors go by NCCL.

    Parameters
    ----------
    rank, size
        See `Group`.
    peers
        A stream socket for every other rank, see `ritz.compute.cluster.peers`: it is known who is at the other end.
    nccl
        Whether torch.distributed connects the GPUs.
    """

    def __init__(self, rank: int, size: int, peers: Mapping[int, socket.socket], *, nccl: bool = False) -> None:
        self.rank, self.size, self.nccl = rank, size, nccl
        self._peers = peers
        for peer in peers.values():
            peer.settimeout(PATIENCE.total_seconds())

    def gather(self, value: torch.Tensor) -> Sequence[torch.Tensor]:
        """Return the tensors of all ranks; see `Group.gather`."""
        import torch

        if self.nccl:
            gathered = [torch.empty_like(value) for _ in range(self.size)]
            with self._lost(RuntimeError):
                torch.distributed.all_gather(gathered, value)
            return gathered
        row = value.detach().cpu().reshape(-1)
        messages = self._exchange(row.view(torch.uint8).numpy().data)
        return [
            value
            if rank == self.rank
            else torch.frombuffer(message, dtype=value.dtype).reshape(value.shape).to(value.device)
            for rank, message in enumerate(messages)
        ]

    def exchange(self, message: bytes) -> Sequence[bytes]:
        """Return the messages of all ranks; see `Group.exchange`."""
        return [bytes(one) for one in self._exchange(message)]

    def _exchange(self, message: bytes | memoryview) -> list[Any]:
        messages: list[Any] = [message] * self.size
        with self._lost(OSError):
            # In each turn every rank has one other, or none: all pairs speak at the same time.
            for turn in range(self.size):
                other = (turn - self.rank) % self.size
                if other == self.rank:
                    continue
                peer = self._peers[other]
                # Two that both send first would wait for each other where a message is longer than what is buffered.
                if self.rank < other:
                    _send(peer, message)
                messages[other] = _received(peer)
                if self.rank > other:
                    _send(peer, message)
        return messages

    @contextmanager
    def _lost(self, kind: type[Exception]) -> Iterator[None]:
        try:
            yield
        except kind as error:
            raise PeerLost(f"rank {self.rank} of {self.size} lost another: {error}") from error


@contextmanager
def grouped(rank: int, size: int, peers: Mapping[int, socket.socket], device: str) -> Iterator[Group]:
    """Make this process one of a group, and let go of the others at the end.

    With ``"cuda"`` the ranks on one machine take its GPUs in their order. If all are on one, tensors go from GPU to GPU
    by NCCL: they find each other by a file in a folder of the owner's alone, and listen on the loopback interface. NCCL
    neither encrypts what it sends nor knows certificates; so between machines tensors take the connections that do.

    Parameters
    ----------
    peers
        See `Ranks`; they are not closed here.

    Raises
    ------
    PeerLost
        If one of the others is gone.
    ValueError
        If a machine has fewer GPUs than ranks.
    """
    group = Ranks(rank, size, peers)
    if device != "cuda":
        yield group
        return
    import torch

    hosts = group.collect(socket.gethostname())
    torch.cuda.set_device(_place(hosts, rank, torch.cuda.device_count()))
    with tempfile.TemporaryDirectory(prefix="ritz-ranks-") as own:
        folder = Path(group.collect(own)[0])
        # Containers of one name may have a file system each.
        if len(set(hosts)) > 1 or not all(group.collect(folder.is_dir())):
            yield group
            return
        with _nccl(folder, rank, size):
            yield Ranks(rank, size, peers, nccl=True)


@contextmanager
def _nccl(folder: Path, rank: int, size: int) -> Iterator[None]:
    """Connect the GPUs of ranks on one machine that find each other in a folder."""
    import os
    import sys

    import torch

    distributed = torch.distributed
    os.environ.setdefault("NCCL_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    try:
        store = distributed.FileStore(str(folder / "store"), size)
        distributed.init_process_group("nccl", store=store, rank=rank, world_size=size, timeout=PATIENCE)
    except RuntimeError as error:
        raise PeerLost(f"rank {rank} of {size} did not find the others' GPUs: {error}") from error
    try:
        yield
    finally:
        distributed.destroy_process_group()


def _send(peer: socket.socket, message: bytes | memoryview) -> None:
    peer.sendall(_LENGTH.pack(len(message)))
    peer.sendall(message)


def _received(peer: socket.socket) -> bytearray:
    (length,) = _LENGTH.unpack(_exactly(peer, _LENGTH.size))
    return _exactly(peer, length)


def _exactly(peer: socket.socket, length: int) -> bytearray:
    """Return the next bytes of a stream, so many.

    Raises
    ------
    OSError
        If it ends before.
    """
    message = bytearray(length)
    rest = memoryview(message)
    while rest:
        count = peer.recv_into(rest)
        if not count:
            raise ConnectionResetError("it has closed its connection")
        rest = rest[count:]
    return message


def _place(hosts: Sequence[str], rank: int, devices: int) -> int:
    """Return the number of a rank among those of its host."""
    place = hosts[:rank].count(hosts[rank])
    if place >= devices:
        raise ValueError(
            f"{hosts.count(hosts[rank])} ranks are on {hosts[rank]}, which has {devices} GPUs; expected at most as many"
        )
    return place
