"""Waiting in tests: it returns what came, and says what did not."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys

import pytest

from tests.patience import eventually, until


def test_what_is_waited_for_is_returned() -> None:
    count = itertools.count()
    assert until(lambda: next(count), lambda seen: seen > 2, every_s=0.001) == 3
    assert until(lambda: next(count), equals=5, every_s=0.001) == 5

    async def later() -> int:
        return next(count)

    assert asyncio.run(eventually(later, equals=7, every_s=0.001)) == 7
    assert asyncio.run(eventually(lambda: next(count), equals=9, every_s=0.001)) == 9


def test_in_vain_it_says_what_was_waited_for_and_seen_last() -> None:
    said = r'within 0.01 s, looked \d+ times: .*test_patience.py:\d+: .*equals="done".*; last seen: \'asked\''
    with pytest.raises(AssertionError, match=said):
        until(lambda: "asked", equals="done", seconds=0.01, every_s=0.002)

    async def wait() -> None:
        await eventually(list, len, seconds=0.01, every_s=0.002)

    with pytest.raises(AssertionError, match=r"eventually\(list, len.*; last seen: \[\]"):
        asyncio.run(wait())


def test_what_is_forgiven_is_not_yet_and_anything_else_is_an_error() -> None:
    answers = iter([OSError("away"), KeyError("odd")])

    def look() -> None:
        raise next(answers)

    with pytest.raises(KeyError, match="odd"):
        until(look, forgive=(OSError,), every_s=0.001)
    refused = OSError("refused")

    def away() -> None:
        raise refused

    with pytest.raises(AssertionError, match=r"last seen: OSError\('refused'\)") as caught:
        until(away, seconds=0.0, forgive=(OSError,))
    assert caught.value.__cause__ is refused


def test_nothing_is_waited_for_that_a_dead_process_would_bring() -> None:
    words = [sys.executable, "-c", "raise SystemExit('no memory')"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:  # noqa: SIM117
        with pytest.raises(AssertionError, match=r"process ended with 1 \(no memory"):
            until(lambda: False, running=process)
