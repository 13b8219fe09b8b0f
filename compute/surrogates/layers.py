from __future__ import annotations

import torch
from neuralop.layers.spectral_convolution import SpectralConv


class Coordinates(torch.nn.Module):
    """Appends one channel an axis with the coordinate of the cell centres, from −1 to 1 between the walls.

    A point that lies on two grids has the same coordinates on both.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, channel + axes, *space)`` for ``x`` ``(batch, channel, *space)``."""
        space = x.shape[2:]
        lines = [(2 * torch.arange(n, device=x.device, dtype=x.dtype) + 1) / n - 1 for n in space]
        grids = torch.stack(torch.meshgrid(*lines, indexing="ij"))
        return torch.cat([x, grids.expand(len(x), *grids.shape)], dim=1)


class TruncatedConv(SpectralConv):
    """The spectral convolution of neuraloperator, transformed one axis after the other and cut in between.

    Weights and result are the library's on grids with an even number of points along every axis but the last.
    On odd ones the library's forward pass moves the spectrum by one mode, so that its answer there is
    not that of an even grid; here it is. Cutting to the kept modes after each axis also leaves most of the
    later transforms out.
    """

    def forward(self, x: torch.Tensor, output_shape: tuple[int, ...] | None = None) -> torch.Tensor:
        """Return the convolution of ``x`` ``(batch, channel, *space)`` on the same grid."""
        if output_shape is not None or self.resolution_scaling_factor is not None:
            raise ValueError("a truncated convolution keeps the grid; leave output_shape and scaling out")
        space = x.shape[2:]
        spectrum = torch.fft.rfft(x, dim=-1, norm=self.fft_norm)
        kept = [slice(min(self.n_modes[-1], spectrum.shape[-1]))]
        spectrum = spectrum[..., kept[0]]
        for axis in range(x.ndim - 2, 1, -1):
            n, modes = x.shape[axis], self.n_modes[axis - 2]
            count = min(n, modes)
            # The weights lie in the order of the frequencies, −modes/2 first.
            first = modes // 2 - count // 2
            kept.insert(0, slice(first, first + count))
            spectrum = torch.fft.fft(spectrum, dim=axis, norm=self.fft_norm)
            parts = (spectrum.narrow(axis, n - count // 2, count // 2), spectrum.narrow(axis, 0, count - count // 2))
            spectrum = torch.cat(parts, dim=axis)
        spectrum = self._contract(spectrum, self.weight[(slice(None), slice(None), *kept)], separable=False)
        for axis in range(2, x.ndim - 1):
            n, count = x.shape[axis], spectrum.shape[axis]
            gap = spectrum.new_zeros(*spectrum.shape[:axis], n - count, *spectrum.shape[axis + 1 :])
            negative, positive = spectrum.split((count // 2, count - count // 2), dim=axis)
            spectrum = torch.fft.ifft(torch.cat((positive, gap, negative), dim=axis), dim=axis, norm=self.fft_norm)
        out = torch.fft.irfft(spectrum, n=space[-1], dim=-1, norm=self.fft_norm)
        return out if self.bias is None else out + self.bias
