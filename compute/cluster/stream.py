from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

from distributed import Future, as_completed

from compute.cluster.cluster import Cluster

Item = TypeVar("Item")


class HasReceipt(Protocol):
    """What a streamed function returns: a value that stays on its worker, with a small part for the driver."""

    @property
    def receipt(self) -> Any:
        """The small part."""


@dataclass(frozen=True)
class Completed(Generic[Item]):
    """One finished piece of work.

    Attributes
    ----------
    item
        What was asked for.
    receipt
        The small part of the result, on the driver.
    held : distributed.Future
        The whole result, in the memory of the worker that made it; made again if that worker dies.
    """

    item: Item
    receipt: Any
    held: Future


def stream(
    cluster: Cluster,
    function: Callable[[Item], HasReceipt],
    items: Iterable[Item],
    *,
    window: int,
    role: str,
) -> Iterator[Completed[Item]]:
    """Run ``function`` over ``items`` on the workers of ``role`` and yield results as they complete.

    At most ``window`` items are in flight, the yielded one included: the next is started when the consumer asks
    for more, so a consumer that waits makes the workers wait. Work that a dead worker held is started again on
    another, and so is a held result until it is released.

    Parameters
    ----------
    function
        Returns an object with a picklable attribute ``receipt``; the rest of it stays on the worker.
    window
        Greater than 0.

    Raises
    ------
    WorkersLost
        If an item was tried on worker after worker and each died.
    Exception
        What ``function`` raised, with the item as a note; what is in flight is cancelled.
    """
    client, waiting = cluster.client, iter(items)
    held: dict[Any, tuple[Item, Future]] = {}
    order = as_completed(loop=client.loop)

    def start(item: Item) -> None:
        value = client.submit(function, item, resources={role: 1}, pure=False)
        # Takes none of the worker's resource, only a thread: a receipt must not wait for the next item to be done.
        receipt = client.submit(_receipt, value, resources={role: 0}, pure=False, priority=1)
        held[receipt.key] = (item, value)
        order.add(receipt)

    try:
        for item in islice(waiting, window):
            start(item)
        for receipt in order:
            item, value = held.pop(receipt.key)
            try:
                result = cluster.result(receipt)
            except Exception as error:
                error.add_note(f"while working on {item!r}")
                raise
            yield Completed(item, result, value)
            del value
            for following in islice(waiting, 1):
                start(following)
    finally:
        if client.status == "running":
            client.cancel([value for _, value in held.values()])


def _receipt(value: HasReceipt) -> Any:
    return value.receipt
