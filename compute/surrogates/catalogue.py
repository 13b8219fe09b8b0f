from __future__ import annotations

from typing import Annotated

from ritz.compute.kind import OneOf
from ritz.compute.surrogates.deeponet import DeepONet
from ritz.compute.surrogates.fno import FNO
from ritz.compute.surrogates.fully_connected import FullyConnected
from ritz.compute.surrogates.local_no import LocalNO
from ritz.compute.surrogates.mgno import MgNO
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.surrogates.tfno import TFNO
from ritz.compute.surrogates.transolver import Transolver
from ritz.compute.surrogates.unet import UNet
from ritz.compute.surrogates.uno import UNO

SHIPPED: tuple[type[Surrogate], ...] = (FNO, TFNO, UNO, LocalNO, FullyConnected, UNet, DeepONet, MgNO, Transolver)

AnySurrogate = Annotated[Surrogate, OneOf(Surrogate, lambda: SHIPPED, group="ritz.surrogates")]
"""Field type: any shipped surrogate, one that an installed package adds, or an instance of one's own class."""
