from __future__ import annotations

import torch


def convolution(axes: int) -> type[torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Conv3d]:
    """Return the class of the convolutions in one, two or three dimensions of space."""
    return (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)[axes - 1]
