from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field

from ritz.compute.kind import Source
from ritz.compute.surrogates.spectral.spectral import Spectral


class LocalNO(Spectral):
    """Neural operator with localised integral and differential kernels, for any grid in one, two or three dimensions.

    As `ritz.compute.surrogates.spectral.fno.FNO` without the perceptrons of its blocks; beside the Fourier convolution
    each has a differential kernel, of which a finer grid gives better differences, and the integral against a kernel of
    small support. Outermost values are repeated beyond the walls for differences; integrals end there. Derivatives are
    right on grids that are refined alike along all axes.

    Blocks and differential kernel are neuraloperator's. Its own LocalNO is for two dimensions, integrates as on the
    grid of its training, and cannot be imported with the releases of torch-harmonics that go with a torch of today.

    Source: Liu-Schiaffini et al., "Neural operators with localized integral and differential kernels", ICML 2024.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Liu-Schiaffini et al.",
            "Neural operators with localized integral and differential kernels",
            2024,
            "ICML",
            "",
            "surrogates.txt",
        ),
    )

    kind: Literal["local_no"] = "local_no"
    reference: int = Field(default=64, ge=2, le=65536)
    """Points along an axis for which both kernels see the nearest neighbours; best those of the training grid, or of a
    patch where ``levels`` is above 0."""

    def options(self) -> dict[str, Any]:
        """Ask for local convolutions and no perceptrons; see `Spectral.options`."""
        from ritz.compute.surrogates.networks.local import LocalConv

        return {"conv_module": partial(LocalConv, reference=self.reference), "use_channel_mlp": False}
