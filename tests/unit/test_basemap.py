"""The map of the ground is sent by the piece that a page asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from nervure.serve.control.basemap import MOST_BYTES, ranged


@pytest.mark.parametrize(
    ("wish", "status", "body", "span"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=8-400", 206, b"89", "bytes 8-9/10"),
        ("", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=-3", 206, b"0123456789", "bytes 0-9/10"),  # a kind of range that is not known is passed over
        ("bytes=10-12", 416, b"", "bytes */10"),
        ("bytes=5-4", 416, b"", "bytes */10"),
    ],
)
def test_a_range_names_a_piece(tmp_path: Path, wish: str, status: int, body: bytes, span: str) -> None:
    (tmp_path / "map").write_bytes(b"0123456789")
    found = ranged(tmp_path / "map", wish)
    assert (found.status, found.body, dict(found.headers)["content-range"]) == (status, body, span)


def test_a_piece_has_an_end_and_another_file_another_tag(tmp_path: Path) -> None:
    place = tmp_path / "map"
    place.write_bytes(b"x" * (MOST_BYTES + 5))
    found = ranged(place, "bytes=0-")
    assert len(found.body) == MOST_BYTES
    place.write_bytes(b"y")
    assert dict(ranged(place, "").headers)["etag"] != dict(found.headers)["etag"]
