from __future__ import annotations

from typing import Annotated

from ritz.compute.kind import OneOf
from ritz.compute.training.losses.fields import RelativeH1, RelativeL2
from ritz.compute.training.losses.loss import Loss
from ritz.compute.training.losses.physics import Residual

AnyLoss = Annotated[Loss, OneOf(Loss, lambda: (RelativeL2, RelativeH1, Residual), group="ritz.losses")]
"""Field type: any shipped loss, or an instance of one's own class."""
