from __future__ import annotations

from typing import Annotated

from ritz.compute.kind import OneOf
from ritz.compute.training.offline import Offline
from ritz.compute.training.online import Online
from ritz.compute.training.training import Training

AnyTraining = Annotated[Training, OneOf(Training, lambda: (Online, Offline))]
"""Field type: training while samples are solved, or on a published version."""
