from __future__ import annotations

from typing import Literal

from ritz.compute.document import DocumentPart


class Finding(DocumentPart):
    """What a look at one part of the machine came to.

    Attributes
    ----------
    subject
        What was looked at.
    state
        ``"fail"`` where a command of Ritz would fail, ``"warn"`` where one may, or would be slow.
    said
        What was found.
    todo
        What to do about it; empty where all is well.
    """

    subject: str
    state: Literal["ok", "warn", "fail"]
    said: str
    todo: str = ""
