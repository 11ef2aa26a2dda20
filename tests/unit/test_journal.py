from __future__ import annotations

from pathlib import Path

from nervure.stream.journal import Journal

VIOLATION = (
    '[1] 2026/01/01 00:00:00.000000 [ERR] 127.0.0.1:1 - mid:2 - "d" - Publish Violation - Subject "x"\n'
)
FULL = "[1] 2026/01/01 00:00:00.000000 [ERR] JetStream stream 'S' critical write error: no space left\n"


def write(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_refusals_are_counted_once_and_what_stood_there_before_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    write(path, VIOLATION)
    journal = Journal(path)
    journal.look()
    assert journal.refused == 0
    write(path, VIOLATION * 2 + "[1] other\n" + VIOLATION[:30])
    journal.look()
    assert journal.refused == 2
    write(path, VIOLATION[30:])
    journal.look()
    journal.look()
    assert journal.refused == 3


def test_a_log_file_that_was_begun_anew_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    write(path, "x" * 10_000 + "\n")
    journal = Journal(path)
    path.rename(tmp_path / "server.log.1")
    journal.look()
    write(path, VIOLATION)
    journal.look()
    assert journal.refused == 1
    path.write_text("")
    journal.look()
    write(path, VIOLATION)
    journal.look()
    assert journal.refused == 2


def test_a_store_that_broke_is_known_until_a_new_server_begins(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    journal = Journal(path)
    write(path, FULL)
    journal.look()
    assert journal.broken == "JetStream stream 'S' critical write error: no space left"
    journal.skip()
    journal.look()
    assert not journal.broken
