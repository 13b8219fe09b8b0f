"""Solves and their derivatives as functions of torch's autograd; all tensors are float64 on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Arrays
    from ritz.compute.simulation.implicit import Task

Tensors = tuple[torch.Tensor, ...]


class _Once(torch.autograd.Function):
    """A derivative, which has none itself."""

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep nothing."""

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> NoReturn:
        """Refuse."""
        raise NotImplementedError("implicit_solve has first derivatives alone, and a second one is asked for")

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> NoReturn:
        """Refuse."""
        raise NotImplementedError("implicit_solve has first derivatives alone, and a second one is asked for")


class _Gradient(_Once):
    """Cotangents of the fields times their derivatives by some inputs."""

    @staticmethod
    def forward(task: Task, wanted: tuple[str, ...], *tensors: torch.Tensor) -> Tensors:
        """Take inputs, fields and cotangents to gradients, in the order of ``wanted``."""
        names = task.variables
        inputs, fields, cotangents = _named(tensors, tuple(names.inputs), tuple(names.outputs), tuple(names.outputs))
        found = task.gradient(inputs, fields, cotangents, wanted)
        return tuple(torch.from_numpy(found[name]) for name in wanted)


class _Change(_Once):
    """The change of the fields along one of some inputs."""

    @staticmethod
    def forward(task: Task, moved: tuple[str, ...], *tensors: torch.Tensor) -> Tensors:
        """Take inputs, fields and tangents, in the order of ``moved``, to changes of the outputs."""
        names = task.variables
        inputs, fields, tangents = _named(tensors, tuple(names.inputs), tuple(names.outputs), moved)
        found = task.change(inputs, fields, tangents)
        return tuple(torch.from_numpy(found[name]) for name in names.outputs)


class Solved(torch.autograd.Function):
    """The fields of a problem, see `ritz.compute.simulation.implicit.implicit_solve`."""

    @staticmethod
    def forward(task: Task, *tensors: torch.Tensor) -> Tensors:
        """Take inputs to outputs, both in the order of the template."""
        (inputs,) = _named(tensors, tuple(task.variables.inputs))
        fields = task.solved(inputs)
        return tuple(torch.from_numpy(np.array(fields[name])) for name in task.variables.outputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensors) -> None:
        """Keep inputs and outputs."""
        ctx.task = inputs[0]
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs[1:], *output)
        ctx.save_for_forward(*inputs[1:], *output)

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor | None) -> tuple[Any, ...]:
        """Return the gradients by the inputs that need them."""
        task, saved = ctx.task, ctx.saved_tensors
        names = tuple(task.variables.inputs)
        wanted = tuple(name for name, needed in zip(names, ctx.needs_input_grad[1:], strict=True) if needed)
        outputs = saved[len(names) :]
        given = [torch.zeros_like(u) if g is None else g for g, u in zip(cotangents, outputs, strict=True)]
        found = _Gradient.apply(task, wanted, *saved, *given)  # type: ignore[no-untyped-call]  # of torch
        gradients = dict(zip(wanted, found, strict=True))
        return None, *(gradients.get(name) for name in names)

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: torch.Tensor | None) -> Tensors:
        """Return the changes of the outputs."""
        named = zip(ctx.task.variables.inputs, tangents, strict=True)
        moved = {name: one for name, one in named if one is not None}
        given = (*ctx.saved_tensors, *moved.values())
        changes: Tensors = _Change.apply(ctx.task, tuple(moved), *given)  # type: ignore[no-untyped-call]  # of torch
        return changes


def _named(tensors: Tensors, *names: tuple[str, ...]) -> list[Arrays]:
    """Return tensors as arrays, in groups by their names."""
    arrays = iter(tensors)
    return [{name: next(arrays).detach().contiguous().numpy() for name in group} for group in names]
