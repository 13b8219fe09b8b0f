from __future__ import annotations

from typing import Annotated

from ritz.compute.kind import OneOf
from ritz.compute.surrogates.attention.transolver import Transolver
from ritz.compute.surrogates.convolutional.mgno import MgNO
from ritz.compute.surrogates.convolutional.unet import UNet
from ritz.compute.surrogates.coordinate.deeponet import DeepONet
from ritz.compute.surrogates.coordinate.fully_connected import FullyConnected
from ritz.compute.surrogates.fitted.fitted import Fitted
from ritz.compute.surrogates.fitted.mean import Mean
from ritz.compute.surrogates.fitted.pca_ridge import PCARidge
from ritz.compute.surrogates.network import Network
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.surrogates.spectral.local_no import LocalNO
from ritz.compute.surrogates.spectral.tfno import TFNO
from ritz.compute.surrogates.spectral.uno import UNO
from ritz.compute.surrogates.surrogate import Surrogate

NETWORKS: tuple[type[Network], ...] = (FNO, TFNO, UNO, LocalNO, FullyConnected, UNet, DeepONet, MgNO, Transolver)

FITTED: tuple[type[Fitted], ...] = (PCARidge, Mean)

SHIPPED: tuple[type[Surrogate], ...] = (*NETWORKS, *FITTED)

AnySurrogate = Annotated[Surrogate, OneOf(Surrogate, lambda: SHIPPED, group="ritz.surrogates")]
"""Field type: any shipped surrogate, one that an installed package adds, or an instance of one's own class."""
