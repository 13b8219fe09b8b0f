from __future__ import annotations

import torch


def frozen(module: torch.nn.Module) -> torch.nn.Module:
    """Make all parameters of a module buffers of the same names, which no optimiser sees; return the module."""
    for part in module.modules():
        for name, value in list(part._parameters.items()):
            if value is not None:
                del part._parameters[name]
                part.register_buffer(name, value.detach())
    return module
