from __future__ import annotations

import pytest

from tasks.worker import train


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    # The one thing that needs a cluster: to tell the driver how far the training is.
    monkeypatch.setattr(train, "Teller", lambda _: lambda *_, **__: None)
