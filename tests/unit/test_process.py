"""Which node runs in a data folder: told by a lock and the process's own marks, never by a number alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from nervure.cli.process import Running, claim, find, stop
from nervure.core.error import EnvironmentMissing, NervureError, UsageError

HOLD = """
import signal, sys, time
from pathlib import Path
from nervure.cli.process import claim
{prelude}
with claim(Path(sys.argv[1]), "http://127.0.0.1:1"):
    print("held", flush=True)
    time.sleep(60)
"""
POLITE = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))"
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


def _start(folder: Path, prelude: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(prelude=prelude), str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.fixture
def held(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with _start(tmp_path, POLITE) as process:
        yield process
        process.kill()


def test_a_node_is_found_while_it_runs_and_not_after(held: subprocess.Popen[str], tmp_path: Path) -> None:
    running = find(tmp_path)
    assert running is not None
    assert (running.pid, running.http) == (held.pid, "http://127.0.0.1:1")
    stop(running, 60)
    assert held.wait(60) == 0
    assert find(tmp_path) is None
    assert not (tmp_path / "nervure.pid").exists()


def test_a_folder_has_one_node(held: subprocess.Popen[str], tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match=rf"runs in .* already \(process {held.pid}\)"),
        claim(tmp_path, "http://127.0.0.1:2"),
    ):
        pass
    assert find(tmp_path) is not None


def test_what_a_crash_leaves_behind_stops_nobody(held: subprocess.Popen[str], tmp_path: Path) -> None:
    held.send_signal(signal.SIGKILL)
    held.wait(60)
    assert (tmp_path / "nervure.pid").exists()
    assert find(tmp_path) is None
    with claim(tmp_path, "http://127.0.0.1:2") as running:
        assert running.pid == os.getpid()
        assert find(tmp_path) == running


@pytest.mark.parametrize("change", [{"started": 1.0}, {"command": ("someone", "else")}])
def test_another_process_with_the_same_number_is_left_alone(
    held: subprocess.Popen[str], tmp_path: Path, change: dict[str, object]
) -> None:
    running = find(tmp_path)
    assert running is not None
    foreign = msgspec.structs.replace(running, **change)
    (tmp_path / "nervure.pid").write_bytes(msgspec.json.encode(foreign))
    assert find(tmp_path) is None
    stop(foreign, 1)
    time.sleep(0.2)
    assert held.poll() is None


def test_a_node_that_does_not_stop_is_not_killed(tmp_path: Path) -> None:
    with _start(tmp_path, DEAF) as process:
        running = find(tmp_path)
        assert running is not None
        with pytest.raises(NervureError, match=f"process {process.pid} still runs"):
            stop(running, 0.3)
        assert process.poll() is None
        process.kill()


@pytest.mark.parametrize("text", ["", "nonsense", '{"pid": 1}'])
def test_a_damaged_file_names_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "nervure.pid").write_text(text)
    assert find(tmp_path) is None


def test_a_process_that_is_gone_needs_no_stopping() -> None:
    stop(Running(pid=psutil.Process().pid, started=0.0, command=(), http=""), 1)


def test_a_folder_that_cannot_be_made_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentMissing, match="NERVURE_FOLDER"), claim(tmp_path / "file" / "data", ""):
        pass
