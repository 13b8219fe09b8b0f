from __future__ import annotations


class StorageError(ValueError):
    """Something about a store, a dataset, a model or a run record is not as it must be."""


class Unknown(StorageError):
    """What was asked for does not exist; the message lists what does."""


class Refused(StorageError):
    """A write or a commit breaks a rule of the dataset; nothing was changed."""


class Overtaken(Refused):
    """Another process has committed to the dataset first; this one changed nothing."""


class Busy(StorageError):
    """Another process holds the lock; the message names its pid and host."""


class Damaged(StorageError):
    """A file of the store is not what was written; the message names it."""
