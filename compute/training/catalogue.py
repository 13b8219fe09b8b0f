from __future__ import annotations

from typing import Annotated

from ritz.compute.kind import OneOf
from ritz.compute.training.fit import Fit
from ritz.compute.training.offline import Offline
from ritz.compute.training.online import Online
from ritz.compute.training.training import Training

AnyTraining = Annotated[Training, OneOf(Training, lambda: (Online, Offline, Fit))]
"""Field type: by steps while samples are solved or on a published version, or by one fit to such a version."""
