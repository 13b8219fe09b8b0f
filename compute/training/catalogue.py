from __future__ import annotations

from typing import Annotated

from compute.kind import OneOf
from compute.training.offline import Offline
from compute.training.online import Online
from compute.training.training import Training

AnyTraining = Annotated[Training, OneOf(Training, lambda: (Online, Offline))]
"""Field type: training while samples are solved, or on a published version."""
