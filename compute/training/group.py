from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

PATIENCE = timedelta(hours=1)
"""How long a rank waits for the others in one step: as long as solvers may let one of them wait for samples."""


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
        try:
            torch.distributed.all_gather(gathered, value)
        except RuntimeError as error:
            raise PeerLost(f"rank {self.rank} of {self.size} lost another: {error}") from error
        return gathered

    def collect(self, value: Any) -> list[Any]:
        """Return what all ranks give; see `Group.collect`."""
        import torch

        collected: list[Any] = [None] * self.size
        try:
            torch.distributed.all_gather_object(collected, value)
        except RuntimeError as error:
            raise PeerLost(f"rank {self.rank} of {self.size} lost another: {error}") from error
        return collected


def listening(host: str) -> socket.socket:
    """Return a socket on a free port of ``host`` and of no other interface, on which rank 0 is found."""
    found = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    found.listen()
    return found


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
        ``"cuda"``: rank r takes the GPU of number r on its machine, counted around.
    found
        Rank 0's socket (see `listening`) at that address; it is closed at the end.

    Raises
    ------
    PeerLost
        If not all of them come.
    """
    import torch

    distributed = torch.distributed
    if device == "cuda":
        torch.cuda.set_device(rank % torch.cuda.device_count())
    try:
        store = distributed.TCPStore(
            *address,
            size,
            rank == 0,
            timeout=timedelta(seconds=60),
            wait_for_workers=False,
            master_listen_fd=None if found is None else found.detach(),
        )
        backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
        distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
    except RuntimeError as error:
        raise PeerLost(f"rank {rank} of {size} did not find the others at {address}: {error}") from error
    try:
        yield Ranks(rank, size)
    finally:
        distributed.destroy_process_group()
