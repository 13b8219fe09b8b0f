"""The shipped families of surrogates that stand by themselves; `ritz.compute.surrogates.catalogue` has wrappers too."""

from __future__ import annotations

from ritz.compute.surrogates.attention.transolver import Transolver
from ritz.compute.surrogates.convolutional.mgno import MgNO
from ritz.compute.surrogates.convolutional.neighbourhood import Neighbourhood
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

NETWORKS: tuple[type[Network], ...] = (
    *(FNO, TFNO, UNO, LocalNO, FullyConnected),
    *(UNet, Neighbourhood, DeepONet, MgNO, Transolver),
)

FITTED: tuple[type[Fitted], ...] = (PCARidge, Mean)
