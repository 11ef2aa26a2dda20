"""The console's files over HTTP: what is kept, what is packed, and that nothing else is reached."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nervure.serve.answer import Answer
from nervure.serve.console import STATIC, Console
from nervure.serve.permit import right_for


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "static"
    (place / "assets").mkdir(parents=True)
    (place / "index.html").write_text("<!doctype html><title>here</title>")
    (place / "assets" / "a-1f.js").write_text("let a = 1")
    (place / "assets" / "a-1f.js.br").write_bytes(b"packed by br")
    (place / "assets" / "a-1f.js.gz").write_bytes(b"packed by gzip")
    (place / "built.txt").write_text("mark")
    (tmp_path / "secret.js").write_text("not ours to give")
    return place


def ask(folder: Path, path: str, method: str = "GET", **headers: str) -> Answer:
    told = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope: dict[str, Any] = {"method": method, "path": path, "headers": told}
    return Console(folder).answer(scope)


def test_an_address_of_the_console_is_its_page_asked_for_anew(folder: Path) -> None:
    for path in ("/console", "/console/", "/console/alerts", "/console/alerts/ab12", "/console/index.html"):
        found = ask(folder, path)
        assert (found.status, found.body[:15]) == (200, b"<!doctype html>")
        assert dict(found.headers)["cache-control"] == "no-cache"
    mark = dict(found.headers)["etag"]
    again = ask(folder, "/console/", if_none_match=mark)
    assert (again.status, again.body) == (304, b"")


def test_what_is_named_by_its_content_is_kept_for_good_and_sent_packed(folder: Path) -> None:
    plain = ask(folder, "/console/assets/a-1f.js")
    assert plain.kind == "text/javascript; charset=utf-8"
    assert dict(plain.headers)["cache-control"] == "public, max-age=31536000, immutable"
    assert ask(folder, "/console/assets/a-1f.js", accept_encoding="gzip, br;q=0.9").body == b"packed by br"
    packed = ask(folder, "/console/assets/a-1f.js", accept_encoding="gzip")
    assert packed.body == b"packed by gzip"
    assert dict(packed.headers)["content-encoding"] == "gzip"
    assert dict(packed.headers)["vary"] == "accept-encoding"


@pytest.mark.parametrize(
    "name",
    [
        *("../secret.js", "assets/../../secret.js", "assets/none.js", "a-1f.js.br", "built.txt", "\0.js"),
        "x" * 5000 + ".js",
    ],
)
def test_nothing_but_the_console_s_own_files_is_given(folder: Path, name: str) -> None:
    assert ask(folder, f"/console/{name}").status == 404


def test_a_page_runs_nothing_but_files_of_its_own(folder: Path) -> None:
    rule = dict(ask(folder, "/console/").headers)["content-security-policy"]
    assert "unsafe" not in rule
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'"} <= set(rule.split("; "))


def test_nobody_signs_in_to_load_it_and_nobody_changes_it(folder: Path) -> None:
    assert ask(folder, "/console/", "POST").status == 405
    assert [right_for("GET", path) for path in ("/", "/console", "/console/alerts")] == [None, None, None]
    assert right_for("POST", "/console/alerts") == "write"


def test_an_installation_without_it_says_so(tmp_path: Path) -> None:
    found = ask(tmp_path, "/console/")
    assert found.status == 404
    assert b"no web console" in found.body


def test_the_package_holds_it_and_its_first_load_is_light() -> None:
    weight = json.loads((STATIC / "weight.json").read_text())
    assert 10_000 < weight["first_load_gzip"] <= weight["most"] == 80_000
    assert any(name.startswith("assets/Overview") for name in weight["files"])
    assert not any("map-" in name for name in weight["files"])
