"""Three processes that train together, without a cluster."""

from __future__ import annotations

import math
import multiprocessing
import os
import pickle
import socket
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import torch

from ritz.compute.cluster.peers import connected, endpoint, listen
from ritz.compute.training.gradients import mean_gradients
from ritz.compute.training.group import Alone, Group, PeerLost, Ranks, _place, grouped

SIZE, BATCH = 3, 2

LONG = 3_000_000
"""Bytes of a message that is longer than what a connection holds."""


def _network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3))


def _samples() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return torch.randn(SIZE * BATCH, 5, generator=random), torch.randn(SIZE * BATCH, 3, generator=random)


def _step(group: Group, x: torch.Tensor, y: torch.Tensor, parts: int) -> list[list[float]]:
    """The loss, and then the gradients, of one step."""
    network = _network()

    def backward(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        loss = ((network(x) - y) ** 2).mean()
        loss.backward()
        return loss

    loss = mean_gradients(network, x, y, parts, group, backward)
    return [[float(loss)], *(one.grad.flatten().tolist() for one in network.parameters() if one.grad is not None)]


def member(rank: int, pipe: Connection) -> None:
    """Be one of the ranks; the last one dies after the first step."""
    torch.set_num_threads(1)
    listener = listen("127.0.0.1")
    pipe.send(endpoint(rank, listener))
    with connected(rank, pipe.recv(), listener) as peers, grouped(rank, SIZE, peers, "cpu") as group:
        x, y = (values.chunk(SIZE)[rank] for values in _samples())
        said = group.collect({"rank": rank, "error": float("nan"), "pair": (rank, None)})
        pipe.send((said, [bytes(one) for one in group.exchange(bytes([rank]) * LONG)], _step(group, x, y, 1)))
        if rank == SIZE - 1:
            os._exit(1)
        try:
            group.gather(torch.zeros(1))
        except PeerLost as error:
            pipe.send(str(error))


def test_three_ranks_take_the_step_of_one_process_and_notice_that_one_has_died() -> None:
    context, pipes, processes = multiprocessing.get_context("spawn"), [], []
    for rank in range(SIZE):
        ours, theirs = context.Pipe()
        processes.append(context.Process(target=member, args=(rank, theirs), daemon=True))
        processes[-1].start()
        theirs.close()
        pipes.append(ours)
    places = [_received(pipe) for pipe in pipes]
    for pipe in pipes:
        pipe.send(places)
    alone = _step(Alone(), *_samples(), SIZE)
    for said, messages, step in [_received(pipe) for pipe in pipes]:
        assert [one["rank"] for one in said] == list(range(SIZE))
        assert all(math.isnan(one["error"]) and one["pair"] == [one["rank"], None] for one in said)
        assert messages == [bytes([rank]) * LONG for rank in range(SIZE)]
        assert step == alone
    for rank, pipe in enumerate(pipes[:-1]):
        assert _received(pipe).startswith(f"rank {rank} of {SIZE} lost another: ")
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 1]


@pytest.mark.parametrize(
    "value",
    [
        torch.arange(6.0).reshape(2, 3).T,
        torch.tensor([True, False]),
        torch.tensor(3, dtype=torch.int64),
        torch.tensor([1 + 2j, 0.1j], dtype=torch.complex64),
        torch.tensor([0.1], dtype=torch.bfloat16),
    ],
)
def test_two_ranks_gather_a_tensor_as_it_is(value: torch.Tensor) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, ThreadPoolExecutor(1) as pool:
        other = pool.submit(Ranks(1, 2, {0: theirs}).gather, value + value)
        gathered = Ranks(0, 2, {1: ours}).gather(value)
        for there in (gathered, other.result()):
            assert [one.dtype for one in there] == [value.dtype] * 2
            assert torch.equal(there[0], value)
            assert torch.equal(there[1], value + value)


def test_nothing_that_a_peer_sends_is_unpickled(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    pickled = pickle.dumps(Bomb(str(ran)))
    ours, theirs = socket.socketpair()
    with ours, theirs, ThreadPoolExecutor(1) as pool:
        other = pool.submit(Ranks(1, 2, {0: theirs}).exchange, pickled)
        with pytest.raises(ValueError, match=r"Expecting value|codec can't decode"):
            Ranks(0, 2, {1: ours}).collect(None)
        other.result()
    assert not ran.exists()
    pickle.loads(pickled)
    assert ran.exists(), "it would have run"


class Bomb:
    def __init__(self, file: str) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (Path(self.file),)


def test_a_message_that_breaks_off_is_a_lost_peer() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        theirs.sendall((100).to_bytes(8, "little") + b"half")
        theirs.close()
        with pytest.raises(PeerLost, match=r"rank 0 of 2 lost another: "):
            Ranks(0, 2, {1: ours}).exchange(b"")


def _received(pipe: Connection) -> Any:
    assert pipe.poll(90)
    return pipe.recv()


def test_ranks_on_one_machine_take_its_devices_in_their_order() -> None:
    hosts = ["a", "b", "a", "a"]
    assert [_place(hosts, rank, 3) for rank in range(4)] == [0, 0, 1, 2]
    with pytest.raises(ValueError, match="3 ranks are on a, which has 2 GPUs"):
        _place(hosts, 3, 2)
