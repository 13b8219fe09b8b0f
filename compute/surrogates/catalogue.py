from __future__ import annotations

from typing import Annotated

from compute.kind import OneOf
from compute.surrogates.deeponet import DeepONet
from compute.surrogates.fno import FNO
from compute.surrogates.fully_connected import FullyConnected
from compute.surrogates.local_no import LocalNO
from compute.surrogates.mgno import MgNO
from compute.surrogates.surrogate import Surrogate
from compute.surrogates.tfno import TFNO
from compute.surrogates.transolver import Transolver
from compute.surrogates.unet import UNet
from compute.surrogates.uno import UNO

SHIPPED: tuple[type[Surrogate], ...] = (FNO, TFNO, UNO, LocalNO, FullyConnected, UNet, DeepONet, MgNO, Transolver)

AnySurrogate = Annotated[Surrogate, OneOf(Surrogate, lambda: SHIPPED, group="ritz.surrogates")]
"""Field type: any shipped surrogate, one that an installed package adds, or an instance of one's own class."""
