"""Three processes that train together, without a cluster."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.connection import Connection
from typing import Any

import pytest
import torch

from compute.training.gradients import mean_gradients
from compute.training.group import Alone, Group, PeerLost, _place, connected, listening

SIZE, BATCH = 3, 2


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


def member(rank: int, port: int, pipe: Connection) -> None:
    """Be one of the ranks; the last one dies after the first step."""
    torch.set_num_threads(1)
    found = listening("127.0.0.1") if rank == 0 else None
    if found is not None:
        port = found.getsockname()[1]
        pipe.send(port)
    with connected(rank, SIZE, ("127.0.0.1", port), "cpu", found) as group:
        x, y = (values.chunk(SIZE)[rank] for values in _samples())
        pipe.send((group.collect(f"rank {rank}"), _step(group, x, y, 1)))
        if rank == SIZE - 1:
            os._exit(1)
        try:
            group.gather(torch.zeros(1))
        except PeerLost as error:
            pipe.send(str(error))


def test_three_ranks_take_the_step_of_one_process_and_notice_that_one_has_died(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    context, pipes, processes, port = multiprocessing.get_context("spawn"), [], [], 0
    for rank in range(SIZE):
        ours, theirs = context.Pipe()
        processes.append(context.Process(target=member, args=(rank, port, theirs), daemon=True))
        processes[-1].start()
        pipes.append(ours)
        if rank == 0:
            port = _received(ours)
    steps = [_received(pipe) for pipe in pipes]
    alone = _step(Alone(), *_samples(), SIZE)
    for collected, step in steps:
        assert collected == [f"rank {rank}" for rank in range(SIZE)]
        assert step == alone
    for rank, pipe in enumerate(pipes[:-1]):
        assert _received(pipe).startswith(f"rank {rank} of {SIZE} lost another: ")
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 1]


def _received(pipe: Connection) -> Any:
    assert pipe.poll(90)
    return pipe.recv()


def test_ranks_on_one_machine_take_its_devices_in_their_order() -> None:
    hosts = ["a", "b", "a", "a"]
    assert [_place(hosts, rank, 3) for rank in range(4)] == [0, 0, 1, 2]
    with pytest.raises(ValueError, match="3 ranks are on a, which has 2 GPUs"):
        _place(hosts, 3, 2)
