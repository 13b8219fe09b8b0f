from __future__ import annotations

import base64

from tasks.publish import ROOM, gallery


def test_pictures_go_into_an_artifact_as_far_as_there_is_room() -> None:
    small, large = b"\x89PNG small", b"\x89PNG" + bytes(ROOM)
    text = gallery({"samples": large, "training": small, "samples_2": small}, "/store/report.html")
    assert [part.split("\n\n")[0] for part in text.split("## ")[1:]] == ["Samples", "Training", "Samples 2"]
    assert text.count(base64.b64encode(small).decode()) == 2
    assert "## Samples\n\nIn the report: /store/report.html" in text
    assert len(text) < ROOM
