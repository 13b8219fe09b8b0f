from __future__ import annotations

from typing import Annotated

from ritz.compute.kind import OneOf
from ritz.compute.training.buffers.buffer import Buffer
from ritz.compute.training.buffers.fifo import FIFO
from ritz.compute.training.buffers.firo import FIRO
from ritz.compute.training.buffers.reservoir import Reservoir

BUFFERS = OneOf(Buffer, lambda: (Reservoir, FIFO, FIRO), group="ritz.buffers")

AnyBuffer = Annotated[Buffer, BUFFERS]
"""Field type: any shipped buffer, or an instance of one's own class."""
