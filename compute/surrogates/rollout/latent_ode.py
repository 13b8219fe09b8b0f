from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ritz.compute.kind import Fault, Source, in_units
from ritz.compute.surrogates.grid import Grid, check_rising
from ritz.compute.surrogates.minibatch import Minibatch
from ritz.compute.surrogates.network import Network

if TYPE_CHECKING:
    import torch

    from ritz.compute.surrogates.networks.latent_ode import LatentTrajectory


class LatentODE(Network):
    """An ordinary differential equation that a few latent numbers obey, learnt with its encoder and its decoder.

    Equation
        z(0) = encoder(inputs), dz/dt = f(z), state at t = decoder(z(t)). The encoder sees all values of the inputs, so
        that z holds also what does not change, such as a medium. f, encoder and decoder are perceptrons with GELU;
        with ``coder_layers`` 0 encoder and decoder are linear, as those of a proper orthogonal decomposition. All
        times come of one trajectory, and any others too (`Surrogate.rollout`).
    Steps
        Of the adaptive Runge–Kutta method Tsit5, for every sample by itself; states at times inside of a step are
        interpolated to fourth order. What a prediction costs is how often f is evaluated, six times per step.
    Regularisation
        The loss has ``strength`` times the ``estimate`` that the integrator makes of a step, so that f is learnt which
        takes few: its error, in units of what is allowed, or its stiffness, in units of 1/T with the last time T of
        the training. ``global`` takes the mean of all steps over time, each by its length; ``local`` that of one more
        step, begun at a random time of each sample with the length that the integrator takes there. The time is drawn
        from the number of the step of the training. Lengths of steps are constants to the gradient.
    Gradient
        Through all steps, or with ``adjoint`` from the adjoint equation, which is solved backward in time: memory does
        not grow with the steps, and f is evaluated more often. ``global`` needs the first.

    Source: Chen et al., "Neural ordinary differential equations", NeurIPS 2018; Pal et al., "Opening the blackbox",
    ICML 2021, for ``global``; Pal, Edelman, Rackauckas, "Locally regularized neural differential equations", ICML 2023,
    for ``local``. There the sum of stiffness is not weighed by the lengths of the steps.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "R. T. Q. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud",
            "Neural ordinary differential equations",
            2018,
            "NeurIPS",
            "gradients by the adjoint equation need memory that does not grow with the steps",
        ),
        Source(
            "A. Pal, Y. Ma, V. Shah, C. Rackauckas",
            "Opening the blackbox: accelerating neural differential equations by regularizing internal solver "
            "heuristics",
            2021,
            "ICML",
            "predictions take 0.56 to 0.73 of the time at about the same error",
            "latent_ode.txt",
        ),
        Source(
            "A. Pal, A. Edelman, C. Rackauckas",
            "Locally regularized neural differential equations: some black boxes were meant to remain closed!",
            2023,
            "ICML",
            "the estimate at one random time regularises as well as the sum over all steps",
            "latent_ode.txt",
        ),
        Source(
            "C. Tsitouras",
            "Runge–Kutta pairs of order 5(4) satisfying only the first column simplifying assumption",
            2011,
            "Comput. Math. Appl. 62",
        ),
    )

    any_grid: ClassVar[bool] = False

    kind: Literal["latent_ode"] = "latent_ode"
    latent: int = Field(default=16, ge=1, le=4096, json_schema_extra=in_units("numbers"))
    """Components of the latent state."""
    width: int = Field(default=128, ge=1, le=65536, json_schema_extra=in_units("features"))
    """Values in a hidden layer."""
    layers: int = Field(default=2, ge=0, le=64, json_schema_extra=in_units("layers"))
    """Hidden layers of the equation."""
    coder_layers: int = Field(default=1, ge=0, le=64, json_schema_extra=in_units("layers"))
    """Hidden layers of encoder and decoder, each; 0 makes them linear."""
    rtol: float = Field(default=1e-4, ge=1e-6, le=0.1)
    """Largest error of a step of the integrator, relative to 1 + the size of the latent component."""
    max_steps: int = Field(default=1000, ge=1, le=1_000_000, json_schema_extra=in_units("time steps"))
    """Most steps of the integrator up to the last time of the training; one that needs more is an error."""
    regularise: Literal["none", "local", "global"] = "none"
    """At which steps the estimate of the integrator is part of the loss."""
    estimate: Literal["error", "stiffness"] = "error"
    """Which one."""
    strength: float = Field(default=0.05, gt=0, le=1e6)
    """Its factor."""
    adjoint: bool = False
    """Whether the gradient comes of the adjoint equation."""

    def faults(self) -> Iterator[Fault]:
        """Yield that all steps are to be differentiated and none is kept; see `Kind.faults`."""
        if self.adjoint and self.regularise == "global":
            yield Fault(
                ("adjoint", "regularise"),
                "adjoint is true and regularise is 'global', whose gradient goes through all steps; expected "
                "'local', 'none', or adjoint: false",
            )

    def check(self, grid: Grid) -> None:
        """Refuse a steady problem; see `Surrogate.check`."""
        if grid.states is None:
            raise ValueError(
                f"the surrogate {self.kind!r} needs a problem in time whose outputs say which input is their state at "
                "time zero (their attribute initial_state); take another network, such as 'fno'"
            )

    def build(self, inputs: int, outputs: int, axes: int = 2) -> torch.nn.Module:
        """Refuse to build without grid and times; see `Network.build`."""
        raise self.needs_grid(inputs, outputs, axes)

    def build_on(self, inputs: int, outputs: int, grid: Grid) -> torch.nn.Module:
        """Return the equation between encoder and decoder; see `Network.build_on`."""
        from ritz.compute.surrogates.networks.latent_ode import LatentTrajectory

        self.check(grid)
        grid.check_inputs(inputs)
        states = grid.states
        assert states is not None
        if outputs != len(states.starts) * len(states.times):
            raise ValueError(
                f"{outputs} output channels, expected {len(states.starts)} for each of {len(states.times)} times"
            )
        return LatentTrajectory(
            states,
            grid,
            latent=self.latent,
            width=self.width,
            layers=self.layers,
            coder_layers=self.coder_layers,
            rtol=self.rtol,
            most=self.max_steps,
            adjoint=self.adjoint,
        )

    def objective(self, module: torch.nn.Module, batch: Minibatch) -> torch.Tensor:
        """Return the recipe's losses, and what the integrator estimates of its steps; see `Network.objective`."""
        import torch

        trajectory = _of(module)
        times = trajectory.times.expand(len(batch.x), -1)
        if self.regularise == "local":
            # One more time of each sample, above zero: 1 − [0, 1).
            drawn = 1 - torch.rand(len(times), 1, generator=batch.generator(), dtype=times.dtype)
            times = torch.cat([times, drawn], dim=1)
        with batch.arithmetic():
            solved = trajectory.latent(batch.x, times)
            channels = trajectory.channels(solved.states[:, : len(trajectory.states.times)])
        loss = batch.losses(channels)
        if self.regularise == "none":
            return loss
        seen = solved if self.regularise == "global" else trajectory.again(solved.states[:, -1], solved.lengths[:, -1])
        values = seen.error if self.estimate == "error" else seen.stiffness
        return loss + self.strength * values.mean()

    def rollout(self, module: torch.nn.Module, x: torch.Tensor, times: Sequence[float]) -> torch.Tensor:
        """Return the states at any times; see `Surrogate.rollout`."""
        check_rising(times)
        return _of(module).at(x, times)


def _of(module: torch.nn.Module) -> LatentTrajectory:
    from ritz.compute.surrogates.networks.latent_ode import LatentTrajectory

    assert isinstance(module, LatentTrajectory)
    return module
