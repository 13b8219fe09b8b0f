from __future__ import annotations

from collections import OrderedDict

import numpy as np

from ritz.storage.errors import StorageError
from ritz.storage.samples import Arrays
from ritz.storage.selection import Selection


class CachedSamples:
    """Samples of a version read by their ids, again and again: those read last stay in memory, up to a size.

    Parameters
    ----------
    selection
        Among which samples.
    limit
        Bytes that are kept; what one call of `read` asks for is in memory besides.
    """

    def __init__(self, selection: Selection, limit: int = 2**29) -> None:
        self.selection, self.limit = selection, limit
        self._row = {int(sample): row for row, sample in enumerate(selection.sample_id)}
        self._kept: OrderedDict[int, Arrays] = OrderedDict()
        self._bytes = 0

    @property
    def kept(self) -> int:
        """Bytes in memory."""
        return self._bytes

    def missing(self, ids: np.ndarray) -> np.ndarray:
        """Return which of ``ids`` are not among the samples, each once, ascending."""
        return np.array([one for one in np.unique(ids).tolist() if one not in self._row], np.int64)

    def read(self, ids: np.ndarray) -> dict[int, Arrays]:
        """Return the fields of samples, ``dims`` each, by id.

        Parameters
        ----------
        ids
            ``(n,)``; may repeat.

        Raises
        ------
        StorageError
            A sample is not among those selected, cannot be read, or holds values that are not finite.
        """
        wanted = np.unique(ids)
        if len(gone := self.missing(wanted)):
            raise StorageError(f"sample {gone[0]} is not among the {len(self.selection)} of {self.selection!r}")
        found: dict[int, Arrays] = {}
        for sample in wanted.tolist():
            if sample in self._kept:
                self._kept.move_to_end(sample)
                found[sample] = self._kept[sample]
        fresh = [sample for sample in wanted.tolist() if sample not in found]
        if fresh:
            fields = self.selection.read([self._row[sample] for sample in fresh])
            for row, sample in enumerate(fresh):
                found[sample] = {name: values[row].copy() for name, values in fields.items()}
                self._keep(sample, found[sample])
        return found

    def _keep(self, sample: int, fields: Arrays) -> None:
        bad = [name for name, values in fields.items() if not np.isfinite(values).all()]
        if bad:
            version = self.selection.version
            raise StorageError(
                f"sample {sample} of dataset {version.spec} is gone: its {bad[0]!r} is not stored or not finite; see "
                f"`ritz audit {version.spec}`"
            )
        self._kept[sample] = fields
        self._bytes += sum(values.nbytes for values in fields.values())
        while self._bytes > self.limit and self._kept:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= sum(values.nbytes for values in oldest.values())
