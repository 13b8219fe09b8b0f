from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from ritz.compute.kind import Source
from ritz.compute.surrogates.spectral.spectral import Spectral


class TFNO(Spectral):
    """Fourier neural operator with weights in Tucker form, of the neuraloperator library, for any grid in 1D to 3D.

    As `ritz.compute.surrogates.spectral.fno.FNO`, but the weights of a block are a small core times one matrix for each
    of input channel, output channel and the modes along every axis, so that a share ``rank`` of the numbers remains.

    Source: Kossaifi et al., "Multi-grid tensorized Fourier neural operator for high-resolution PDEs", TMLR 2024.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Kossaifi et al.",
            "Multi-grid tensorized Fourier neural operator for high-resolution PDEs",
            2024,
            "TMLR",
            "",
            "surrogates.txt",
        ),
    )

    kind: Literal["tfno"] = "tfno"
    rank: float = Field(default=0.1, gt=0, le=1)
    """About the share of the weights that is kept."""

    def options(self) -> dict[str, Any]:
        """Ask for weights in Tucker form; see `Spectral.options`."""
        from ritz.compute.surrogates.networks.fourier import TruncatedConv

        return {"conv_module": TruncatedConv, "factorization": "tucker", "rank": self.rank}
