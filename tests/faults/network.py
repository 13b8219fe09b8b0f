"""Hosts that can be cut off: network namespaces of Linux on a bridge, each with an address and a loopback."""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_NUMBERS = itertools.count(1)

NOBODY = "02:00:00:00:00:01"
"""A hardware address that no host has: what is sent to it arrives nowhere, and its sender is told nothing."""


@dataclass(frozen=True)
class Host:
    """A network namespace with one link to the others.

    Attributes
    ----------
    namespace, address
        Name of the namespace, and the IPv4 address that the other hosts reach.
    switch, port
        Namespace of the bridge, and the end of the link that is plugged into it.
    neighbours
        Addresses of the other hosts, and of this process.
    """

    namespace: str
    address: str
    switch: str
    port: str
    neighbours: tuple[str, ...]

    def command(self, *arguments: str) -> list[str]:
        """Return a command that runs another one on this host."""
        return ["ip", "netns", "exec", self.namespace, *arguments]

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Take the link down meanwhile: nothing arrives or leaves, and no connection is closed."""
        ip("-n", self.switch, "link", "set", self.port, "down")
        try:
            yield
        finally:
            ip("-n", self.switch, "link", "set", self.port, "up")

    @contextmanager
    def mute(self) -> Iterator[None]:
        """Lose what this host sends meanwhile; what the others send still arrives."""
        for address in self.neighbours:
            self._neighbour("replace", address, "lladdr", NOBODY, "nud", "permanent")
        try:
            yield
        finally:
            for address in self.neighbours:
                self._neighbour("del", address)

    def _neighbour(self, verb: str, address: str, *more: str) -> None:
        ip("-n", self.namespace, "neighbour", verb, address, *more, "dev", "eth0")


@contextmanager
def joined(*names: str) -> Iterator[tuple[str, dict[str, Host]]]:
    """Make hosts that reach each other, and this process; gives its address among them, and the hosts by name.

    The addresses are of 198.18.0.0/15, which is set aside for tests of networks.
    """
    number = next(_NUMBERS)
    # Of two processes that test at once, and of two networks of one process.
    mark, net = f"rz{os.getpid() % 10**6}{number}", f"198.18.{(os.getpid() + number) % 256}"
    switch, spaces = f"{mark}s", [f"{mark}n{index}" for index in range(len(names))]
    addresses = [f"{net}.{index + 1}" for index in range(len(names) + 1)]
    try:
        for space in (switch, *spaces):
            ip("netns", "add", space)
        ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        ip("-n", switch, "link", "set", "bridge", "up")
        ip("link", "add", mark, "type", "veth", "peer", "name", "here", "netns", switch)
        ip("-n", switch, "link", "set", "here", "master", "bridge", "up")
        ip("address", "add", f"{addresses[0]}/24", "dev", mark)
        ip("link", "set", mark, "up")
        hosts = {}
        for index, (name, space, address) in enumerate(zip(names, spaces, addresses[1:], strict=True)):
            port = f"port{index}"
            ip("-n", switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", space)
            ip("-n", switch, "link", "set", port, "master", "bridge", "up")
            ip("-n", space, "address", "add", f"{address}/24", "dev", "eth0")
            for link in ("lo", "eth0"):
                ip("-n", space, "link", "set", link, "up")
            others = tuple(other for other in addresses if other != address)
            hosts[name] = Host(space, address, switch, port, others)
        yield addresses[0], hosts
    finally:
        # The links go with the namespaces; those of processes that still run go with these.
        for space in (*spaces, switch):
            subprocess.run(["ip", "netns", "delete", space], capture_output=True, check=False)
        deadline = time.monotonic() + 10
        while mark in ip("-oneline", "link") and time.monotonic() < deadline:
            time.sleep(0.1)


def ip(*arguments: str) -> str:
    """Run `ip` of iproute2, and return what it prints."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
    return done.stdout
