from __future__ import annotations

import torch
from neuralop.layers.spectral_convolution import SpectralConv


class TruncatedConv(SpectralConv):  # type: ignore[misc]  # neuraloperator has no types
    """The spectral convolution of neuraloperator, transformed one axis after the other and cut in between.

    Weights and result are the library's on grids with an even number of points along every axis but the last.
    On odd ones the library's forward pass moves the spectrum by one mode, so that its answer there is
    not that of an even grid; here it is. Cutting to the kept modes after each axis also leaves most of the
    later transforms out.

    The answer may lie on another grid of the same box: its waves are those that both grids have. What goes around
    the convolution is brought there by linear interpolation between cell centres; the library's interpolates between
    the outermost centres instead, which moves every other point.
    """

    def transform(self, x: torch.Tensor, output_shape: tuple[int, ...] | None = None) -> torch.Tensor:
        """Return ``x`` ``(batch, channel, *space)`` on the grid of the answer."""
        space = self._answer(x, output_shape)
        if space == tuple(x.shape[2:]):
            return x
        mode = ("linear", "bilinear", "trilinear")[x.ndim - 3]
        return torch.nn.functional.interpolate(x, size=space, mode=mode, align_corners=False)

    def forward(self, x: torch.Tensor, output_shape: tuple[int, ...] | None = None) -> torch.Tensor:
        """Return the convolution of ``x`` ``(batch, channel, *space)``, on its grid or on that of the answer."""
        space = self._answer(x, output_shape)
        spectrum = torch.fft.rfft(x, dim=-1, norm=self.fft_norm)
        kept = [slice(min(self.n_modes[-1], spectrum.shape[-1], space[-1] // 2 + 1))]
        spectrum = spectrum[..., kept[0]]
        for axis in range(x.ndim - 2, 1, -1):
            n, modes = x.shape[axis], self.n_modes[axis - 2]
            count = min(n, space[axis - 2], modes)
            # The weights lie in the order of the frequencies, −modes/2 first.
            first = modes // 2 - count // 2
            kept.insert(0, slice(first, first + count))
            spectrum = torch.fft.fft(spectrum, dim=axis, norm=self.fft_norm)
            parts = (spectrum.narrow(axis, n - count // 2, count // 2), spectrum.narrow(axis, 0, count - count // 2))
            spectrum = torch.cat(parts, dim=axis)
        spectrum = self._contract(spectrum, self.weight[(slice(None), slice(None), *kept)], separable=False)
        for axis in range(2, x.ndim - 1):
            n, count = space[axis - 2], spectrum.shape[axis]
            gap = spectrum.new_zeros(*spectrum.shape[:axis], n - count, *spectrum.shape[axis + 1 :])
            negative, positive = spectrum.split((count // 2, count - count // 2), dim=axis)
            spectrum = torch.fft.ifft(torch.cat((positive, gap, negative), dim=axis), dim=axis, norm=self.fft_norm)
        out = torch.fft.irfft(spectrum, n=space[-1], dim=-1, norm=self.fft_norm)
        answer: torch.Tensor = out if self.bias is None else out + self.bias
        return answer

    def _answer(self, x: torch.Tensor, output_shape: tuple[int, ...] | None) -> tuple[int, ...]:
        """Return the points of the answer along each axis, at least one."""
        if output_shape is not None:
            return tuple(output_shape)
        factors = self.resolution_scaling_factor or [1] * self.order
        return tuple(max(1, round(n * factor)) for n, factor in zip(x.shape[2:], factors, strict=True))
