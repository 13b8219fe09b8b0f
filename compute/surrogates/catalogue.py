from __future__ import annotations

from typing import Annotated

from compute.kind import OneOf
from compute.surrogates.fno import FNO
from compute.surrogates.fully_connected import FullyConnected
from compute.surrogates.surrogate import Surrogate

AnySurrogate = Annotated[Surrogate, OneOf(Surrogate, lambda: (FNO, FullyConnected), group="ritz.surrogates")]
"""Field type: any shipped surrogate, one that an installed package adds, or an instance of one's own class."""
