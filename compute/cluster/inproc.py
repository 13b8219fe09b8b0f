"""Addresses of a scheduler that runs in the process of the driver."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def inproc(scheduler: Any) -> str:
    """Return the address under which a scheduler is reached inside its own process."""
    return contact(scheduler, "inproc")


def contact(scheduler: Any, protocol: str) -> str:
    """Return the address under which a scheduler is reached with a protocol."""
    addresses: Iterator[str] = (listener.contact_address for listener in scheduler.listeners)
    return next(address for address in addresses if address.startswith(f"{protocol}:"))
