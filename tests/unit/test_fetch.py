"""Downloads, against a real HTTP server on loopback."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pytest

from nervure.core.declaration import Signal, Solution, Source
from nervure.core.error import DataError
from nervure.learn.dataset import load
from nervure.learn.fetch import fetch, sha256_of

BODY = b"timestamp,a\n2024-01-01 00:00:00,1.5\n2024-01-01 01:00:00,\n2024-01-01 02:00:00,2.5\n"
SHA256 = hashlib.sha256(BODY).hexdigest()


class Site(NamedTuple):
    url: str
    asked: list[str]


@pytest.fixture(name="site")
def _site() -> Iterator[Site]:
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/file.csv")
                self.end_headers()
                return
            found = self.path in {"/file.csv", "/broken"}
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(BODY) + 9 * (self.path == "/broken")))
            self.end_headers()
            self.wfile.write(BODY if found else b"x" * len(BODY))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Site(f"http://127.0.0.1:{server.server_port}", asked)
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_comes_once_and_is_believed_by_its_checksum(site: Site, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    target = tmp_path / "new" / "file.csv"
    made = fetch(f"{site.url}/moved", target, SHA256, progress=lambda done, total: told.append((done, total)))
    assert made == target
    assert target.read_bytes() == BODY
    assert told[-1] == (len(BODY), len(BODY))
    assert fetch(f"{site.url}/file.csv", target, SHA256) == target
    assert site.asked == ["/moved", "/file.csv"]
    assert sha256_of(target) == SHA256


def test_what_is_there_but_wrong_is_fetched_anew(site: Site, tmp_path: Path) -> None:
    target = tmp_path / "file.csv"
    target.write_bytes(b"half")
    fetch(f"{site.url}/file.csv", target, SHA256)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize(
    ("path", "sha256", "limit", "says"),
    [
        ("/file.csv", "0" * 64, 1 << 20, "is not the file it should be"),
        ("/nowhere", SHA256, 1 << 20, "404"),
        ("/file.csv", SHA256, 10, "larger than 10 bytes"),
        ("/broken", SHA256, 1 << 20, "cannot fetch"),
    ],
)
def test_what_goes_wrong_is_said_and_leaves_nothing(
    site: Site, tmp_path: Path, path: str, sha256: str, limit: int, says: str
) -> None:
    with pytest.raises(DataError, match=says):
        fetch(f"{site.url}{path}", tmp_path / "file.csv", sha256, limit_bytes=limit)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot fetch http://127\.0\.0\.1:1/x") as caught:
        fetch("http://127.0.0.1:1/x", tmp_path / "x", SHA256)
    assert str(tmp_path / "x") in str(caught.value)


def test_a_data_set_is_fetched_into_the_cache_where_it_is_found_again(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("NERVURE_DATA", raising=False)
    source = Source(
        folder="made/far", files=("file.csv",), layout="wide", columns={"a": "a/level"},
        url=f"{site.url}/file.csv", sha256=SHA256,
    )  # fmt: skip
    solution = Solution(
        name="far",
        title="Far",
        thing="gauge",
        signals=(Signal(name="level", unit="m", every="1h"),),
        data=source,
    )
    first = load(solution)
    assert (tmp_path / "nervure" / "made" / "far" / "file.csv").exists()
    assert np.array_equal(first.table.value[:, 0], [1.5, np.nan, 2.5], equal_nan=True)
    second = load(msgspec.structs.replace(solution, data=msgspec.structs.replace(source, url=None)))
    assert np.array_equal(second.table.value, first.table.value, equal_nan=True)
    assert site.asked == ["/file.csv"]
