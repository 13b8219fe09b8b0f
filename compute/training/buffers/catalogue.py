from __future__ import annotations

from typing import Annotated

from compute.kind import OneOf
from compute.training.buffers.buffer import Buffer
from compute.training.buffers.fifo import FIFO
from compute.training.buffers.firo import FIRO
from compute.training.buffers.reservoir import Reservoir

BUFFERS = OneOf(Buffer, lambda: (Reservoir, FIFO, FIRO))

AnyBuffer = Annotated[Buffer, BUFFERS]
"""Field type: any shipped buffer, or an instance of one's own class."""
