from __future__ import annotations

import re
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

PATIENCE = timedelta(days=1)
"""How long a rank waits for the others in one step: as long as solvers may let one of them wait for samples.

A process that dies closes its connections, which the others see at once.
"""

START = timedelta(seconds=60)
"""How long ranks that are all at work wait for each other when they connect."""


class PeerLost(RuntimeError):
    """Another rank of the group has died, failed or kept silent; the group can go on from its checkpoint."""


class Group(ABC):
    """The trainers that take one step together, each on samples of its own; this process is one of them.

    All of them call the same methods in the same order, and each call waits for all.

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
    def collect(self, value: Any) -> list[Any]:
        """Return what all ranks give, in their order; slower than `gather`. Anything that can be pickled.

        Raises
        ------
        PeerLost
            If one of them is gone.
        """


class Alone(Group):
    """A group of one."""

    rank, size = 0, 1

    def gather(self, value: torch.Tensor) -> Sequence[torch.Tensor]:
        """Return the one tensor."""
        return (value,)

    def collect(self, value: Any) -> list[Any]:
        """Return the one value."""
        return [value]


class Ranks(Group):
    """Several processes that are connected by torch.distributed: gloo between processors, NCCL between GPUs."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size

    def gather(self, value: torch.Tensor) -> Sequence[torch.Tensor]:
        """Return the tensors of all ranks; see `Group.gather`."""
        import torch

        gathered = [torch.empty_like(value) for _ in range(self.size)]
        with self._lost():
            torch.distributed.all_gather(gathered, value)
        return gathered

    def collect(self, value: Any) -> list[Any]:
        """Return what all ranks give; see `Group.collect`."""
        import torch

        collected: list[Any] = [None] * self.size
        with self._lost():
            torch.distributed.all_gather_object(collected, value)
        return collected

    @contextmanager
    def _lost(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise PeerLost(f"rank {self.rank} of {self.size} lost another: {_said(error)}") from error


def listening(host: str) -> socket.socket:
    """Return a socket on a free port of ``host`` and of no other interface, on which rank 0 is found."""
    return socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


@contextmanager
def connected(
    rank: int, size: int, address: tuple[str, int], device: str, found: socket.socket | None = None
) -> Iterator[Group]:
    """Connect this process with the others of a group, which all call this now, and let go at the end.

    Parameters
    ----------
    rank, size
        Number of this process and how many there are.
    address
        Host and port of rank 0.
    device
        With ``"cuda"`` the ranks on one machine take its GPUs in their order.
    found
        Rank 0's socket (see `listening`) at that address; it is closed at the end.

    Raises
    ------
    PeerLost
        If not all of them come.
    """
    import torch

    distributed = torch.distributed
    try:
        store = distributed.TCPStore(
            *address,
            size,
            rank == 0,
            timeout=START,
            wait_for_workers=False,
            master_listen_fd=None if found is None else found.detach(),
        )
        # Whoever died on the way here is missed now, and not when all are connected.
        store.set(f"host{rank}", socket.gethostname())
        hosts = [store.get(f"host{other}").decode() for other in range(size)]
        if device == "cuda":
            torch.cuda.set_device(_place(hosts, rank, torch.cuda.device_count()))
        backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
        distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
    except RuntimeError as error:
        raise PeerLost(f"rank {rank} of {size} did not find the others at {address}: {_said(error)}") from error
    try:
        yield Ranks(rank, size)
    finally:
        distributed.destroy_process_group()


def _place(hosts: Sequence[str], rank: int, devices: int) -> int:
    """Return the number of a rank among those of its host."""
    place = hosts[:rank].count(hosts[rank])
    if place >= devices:
        raise ValueError(
            f"{hosts.count(hosts[rank])} ranks are on {hosts[rank]}, which has {devices} GPUs; expected at most as many"
        )
    return place


def _said(error: RuntimeError) -> str:
    """Return what an error of torch.distributed says, without the place in its source and the advice that follows."""
    return re.sub(r"^\[\S*\.cc:\d+\] ", "", str(error)).partition(". ")[0]
