from __future__ import annotations

from typing import Any, ClassVar, Literal

from ritz.compute.kind import Source
from ritz.compute.surrogates.spectral.spectral import Spectral


class FNO(Spectral):
    """Fourier neural operator of the neuraloperator library, for any grid in one, two or three dimensions.

    Pointwise lifting to ``width`` channels, ``layers`` blocks that multiply the lowest Fourier modes by learnt
    matrices beside a pointwise path, pointwise projection. On a grid with fewer modes than ``modes`` those it
    has are used.

    Source: Li et al., "Fourier neural operator for parametric partial differential equations", ICLR 2021.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Li et al.",
            "Fourier neural operator for parametric partial differential equations",
            2021,
            "ICLR",
            "",
            "surrogates.txt",
        ),
    )

    kind: Literal["fno"] = "fno"

    def options(self) -> dict[str, Any]:
        """Ask for convolutions that any number of points will do for; see `Spectral.options`."""
        from ritz.compute.surrogates.networks.fourier import TruncatedConv

        return {"conv_module": TruncatedConv}
