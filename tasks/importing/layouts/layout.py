from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from ritz.compute.kind import Kind
from ritz.storage.importing.source import Source
from ritz.tasks.importing.variables import Dimension, Variable


@dataclass(frozen=True)
class Place:
    """Where a variable lies in files.

    Attributes
    ----------
    source
        Array, ``GROUP/NAME``.
    dims
        Its dimensions in the order of the file; 1 for an axis of one point that is left out. None where the files and
        the layout do not say.
    """

    source: str
    dims: tuple[str | int, ...] | None


class Layout(Kind, ABC):
    """A way in which files are laid out: it says what need not be said of each variable."""

    kind: str

    def place(self, name: str, variable: Variable, file: Source) -> Place:
        """Return where a variable lies; what is said of the variable itself goes first.

        Parameters
        ----------
        name
            Of the variable in the dataset.
        variable
            What is said of it.
        file
            The first file, open.

        Raises
        ------
        ritz.storage.errors.StorageError
            If the file has no such array.
        """
        source = variable.source or self.source(name, file)
        return Place(source, variable.dims if variable.dims is not None else self.dims(source, file))

    @abstractmethod
    def source(self, name: str, file: Source) -> str:
        """Return in which array the variable of a name lies."""

    @abstractmethod
    def dims(self, source: str, file: Source) -> tuple[str | int, ...] | None:
        """Return the dimensions of an array, None where nothing says them."""

    @abstractmethod
    def coordinates(self, dims: Mapping[str, Dimension], name: str, file: Source) -> Dimension:
        """Return where the points of a dimension lie."""
