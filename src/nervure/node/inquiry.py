"""Questions to twins: ``nervure twin whatif`` in processes beside the node, one question at a time.

The node loads no engine: what there is it asks of ``nervure twin list``, and a question is a process that
may be slow, fail or be stopped without the node taking any notice. What was asked lies in the folder
``whatif`` of the data, so that it is there after a restart; the newest fifty are kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from nervure.core.error import BusyError, EnvironmentMissing, NervureError, NotFoundError, UsageError
from nervure.core.settings import Settings
from nervure.serve.control.inquiry import AskedView, Asking, ChangeView, QuestionView, TwinsView
from nervure.store.scope import Scope
from nervure.stream.child import tied
from nervure.stream.conf import write_private
from nervure.twin.state import path_of

__all__ = ["Inquiries"]

KEPT = 50
"""So many questions are kept with what came of them, the newest."""

MOST_WAITING = 8
MOST_FILM = 4 << 20

_FOLDER = "whatif"
_LIST_S = 60.0
_STOP_S = 10.0
_SAID = 2_000
_NICE = "10"
_SHARE = re.compile(r"\s(\d{1,3})%\s\s(.*)")
_ENDED = ("done", "failed", "cancelled")


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A question as it lies in the folder: what is shown of it, its file of the command, whose it is."""

    view: AskedView
    body: dict[str, Any]
    wants_film: bool
    project: int | None = None


class _Paired(msgspec.Struct, frozen=True):
    mean: float | None
    low: float | None
    high: float | None
    p: float | None


class _Change(msgspec.Struct, frozen=True):
    kpi: str
    base: float | None
    do: float | None
    difference: _Paired
    unit: str = ""


class _Outcome(msgspec.Struct, frozen=True):
    """What ``nervure twin whatif --json`` writes, as far as it is shown."""

    changes: tuple[_Change, ...]


class Inquiries:
    """Made in the loop, asked from threads."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.folder.resolve() / _FOLDER
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._listing = threading.Lock()
        self._known: tuple[TwinsView, dict[str, dict[str, Any]]] | None = None
        self._kept = self._read()
        self._next = max(self._kept, default=0) + 1
        self._process: tuple[int, asyncio.subprocess.Process] | None = None
        self._worker: asyncio.Task[None] | None = None

    # --- what is asked, from threads -------------------------------------------------------------------

    def twins(self) -> TwinsView:
        """Return what there is, as ``nervure twin list`` says once, and which twins run beside this node."""
        view, data = self._list()[0], self._folder.parent
        return replace(view, twins=[replace(one, kept=_kept_ms(data, one.name)) for one in view.twins])

    def ask(self, wish: Asking, scope: Scope) -> AskedView:
        """Ask; ``UsageError`` for a question that there is not, ``BusyError`` while too much waits."""
        view, bodies = self._list()
        found = next((one for one in view.questions if one.name == wish.question), None)
        if found is None:
            names = ", ".join(one.name for one in view.questions)
            raise UsageError(f"there is no what-if {wish.question!r}", hint=f"there are {names}")
        if wish.now and wish.scenario:
            raise UsageError("from now on circumstances are those of the twin that runs", hint="no scenario")
        changed = _changed(bodies[found.name], found, wish)
        with self._lock:
            if sum(one.view.state == "waiting" for one in self._kept.values()) >= MOST_WAITING:
                raise BusyError(f"{MOST_WAITING} questions wait already", retry_s=30.0)
            key = self._next
            self._next += 1  # never given twice, as what is being stopped still has its own
            asked = AskedView(
                id=key, question=found.name, title=found.title, twin=found.twin, seeds=wish.seeds,
                minutes=changed.get("minutes"),
                scenario={} if wish.now else {**found.scenario, **wish.scenario},
                measure={**found.measure, **wish.measure}, who=scope.who, state="waiting", asked=_now_ms(),
                now=wish.now,
            )  # fmt: skip
            self._keep(_Kept(view=asked, body=changed, wants_film=wish.film, project=scope.project))
            self._forget()
        self._loop.call_soon_threadsafe(self._go)
        return asked

    def asked(self, scope: Scope) -> list[AskedView]:
        """Return what was asked, the newest first."""
        with self._lock:
            return [one.view for _, one in sorted(self._kept.items(), reverse=True) if _sees(scope, one)]

    def one(self, key: int, scope: Scope) -> AskedView:
        """Return one of them."""
        return self._one(key, scope).view

    def film(self, key: int, scope: Scope) -> bytes:
        """Return its film as JSON."""
        if not self._one(key, scope).view.film:
            raise NotFoundError(f"there is no film of what-if {key}")
        return self._path(key, "film").read_bytes()

    def drop(self, key: int, scope: Scope) -> None:
        """Stop one that waits or runs; forget one that has ended."""
        found = self._one(key, scope)
        if found.view.state in _ENDED:
            with self._lock:
                self._remove(key)
            return
        self._now(key, state="cancelled", ended=_now_ms(), said=f"by {scope.who}")
        self._loop.call_soon_threadsafe(self._cancel, key)

    def _one(self, key: int, scope: Scope) -> _Kept:
        with self._lock:
            found = self._kept.get(key)
        if found is None or not _sees(scope, found):
            raise NotFoundError(f"there is no what-if {key}", hint=f"the newest {KEPT} are kept")
        return found

    def _list(self) -> tuple[TwinsView, dict[str, dict[str, Any]]]:
        """Ask the command what there is; it knows the engines, and this process does not."""
        with self._listing:
            if self._known is None:
                words = [sys.executable, "-m", "nervure.cli", "twin", "list", "--json"]
                try:
                    done = subprocess.run(words, capture_output=True, timeout=_LIST_S, check=False)
                    told = msgspec.json.decode(done.stdout)
                    view = msgspec.convert(told, TwinsView)
                except (subprocess.TimeoutExpired, msgspec.MsgspecError) as cause:
                    raise EnvironmentMissing(
                        "nervure twin list does not say which twins there are", hint="run it by hand"
                    ) from cause
                self._known = (view, {one["name"]: one["ask"] for one in told["questions"]})
            return self._known

    # --- how it is done, in the loop -------------------------------------------------------------------

    def _go(self) -> None:
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())

    async def _work(self) -> None:
        """Answer what waits, the oldest first."""
        while True:
            with self._lock:
                waiting = [key for key, one in sorted(self._kept.items()) if one.view.state == "waiting"]
            if not waiting:
                return
            try:
                await self._answer(waiting[0])
            except (
                NervureError,
                OSError,
            ) as cause:  # no room, no such program
                self._now(waiting[0], state="failed", ended=_now_ms(), said=str(cause)[:_SAID])

    async def _answer(self, key: int) -> None:
        self._now(key, state="running", began=_now_ms())
        found = self._kept.get(key)
        if found is None or found.view.state != "running":
            return
        file = self._path(key, "toml")
        write_private(file, msgspec.toml.encode(_plain(found.body)).decode())
        seeds = str(found.view.seeds)
        now = ["--now", "--set", f"data={self._folder.parent}"] if found.view.now else []
        asked = ("whatif", str(file), "--seeds", seeds, "--jobs", "1", "--json", *now)
        code, out, said = await self._run(key, *asked)
        if self._over(key):
            return
        try:
            outcome = msgspec.json.decode(out, type=_Outcome)
        except msgspec.MsgspecError:
            words = said or f"nervure twin whatif ended with {code}"
            self._now(key, state="failed", ended=_now_ms(), said=words)
            return
        changes = [
            ChangeView(
                kpi=one.kpi, unit=one.unit, base=one.base, do=one.do, mean=one.difference.mean,
                low=one.difference.low, high=one.difference.high, p=one.difference.p,
            )
            for one in outcome.changes
        ]  # fmt: skip
        self._now(key, changes=changes, share=1.0, said="")
        if found.wants_film:
            await self._shoot(key, file, now)
        if not self._over(key):
            self._now(key, state="done", ended=_now_ms(), said="")

    async def _shoot(self, key: int, file: Path, more: Sequence[str]) -> None:
        """Film one pair of runs; a question is answered without."""
        path = self._path(key, "film")
        _, _, said = await self._run(key, "film", str(file), "--out", str(path), *more)
        if self._over(key):
            path.unlink(missing_ok=True)
            return
        size = path.stat().st_size if path.is_file() else 0
        if size > MOST_FILM:
            path.unlink()
            said = f"it has {size >> 20} MB, and {MOST_FILM >> 20} are kept"
        self._now(key, film=0 < size <= MOST_FILM, unfilmed="" if 0 < size <= MOST_FILM else said)

    async def _run(self, key: int, *words: str) -> tuple[int, bytes, str]:
        """Run a command about twins; returns its code, what it wrote, and its last words."""
        nice = shutil.which("nice")  # scoring goes first
        gently = [nice, "-n", _NICE] if nice else []
        process = await asyncio.create_subprocess_exec(
            *tied(*gently, sys.executable, "-m", "nervure.cli", "twin", *words),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self._process = (key, process)
        if self._over(key):  # while it was being started
            self._cancel(key)
        out, said = await asyncio.gather(_all(process.stdout), self._heard(key, process))
        code = await process.wait()
        self._process = None
        return code, out, said

    async def _heard(self, key: int, process: asyncio.subprocess.Process) -> str:
        """Take note of progress; returns the last words that are none."""
        said: list[str] = []
        async for line in _lines(process.stderr):
            found = _SHARE.search(line)
            if found is None:
                said.append(line)
            else:
                self._now(key, share=min(1.0, int(found[1]) / 100), said=found[2].strip()[:200])
        return "\n".join(said).strip().removeprefix("error: ")[-_SAID:]

    def _cancel(self, key: int) -> None:
        if self._process is not None and self._process[0] == key:
            with contextlib.suppress(ProcessLookupError):
                self._process[1].terminate()

    async def close(self) -> None:
        """Stop what runs; what waited is asked again at the next start."""
        if self._worker is not None:
            self._worker.cancel()
        if self._process is not None:
            key, process = self._process
            self._cancel(key)
            try:
                async with asyncio.timeout(_STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
        if self._worker is not None:
            await asyncio.gather(self._worker, return_exceptions=True)

    # --- what is kept ----------------------------------------------------------------------------------

    def _over(self, key: int) -> bool:
        with self._lock:
            return key not in self._kept or self._kept[key].view.state in _ENDED

    def _now(self, key: int, **changes: Any) -> None:
        """Change what is shown of a question; one that has ended stays as it is."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None and found.view.state not in _ENDED:
                self._keep(replace(found, view=replace(found.view, **changes)))

    def _keep(self, one: _Kept) -> None:
        before = self._kept.get(one.view.id)
        self._kept[one.view.id] = one
        if before is None or before.view.state != one.view.state:  # not at every step of progress
            with contextlib.suppress(NervureError):  # no room: it is told all the same, until a restart
                write_private(self._path(one.view.id, "json"), msgspec.json.encode(one).decode())

    def _forget(self) -> None:
        """Let the oldest go that have ended, so that no more are kept than may be."""
        over = [key for key, one in sorted(self._kept.items()) if one.view.state in _ENDED]
        for key in over[: max(0, len(self._kept) - KEPT)]:
            self._remove(key)

    def _remove(self, key: int) -> None:
        self._kept.pop(key, None)
        for kind in ("json", "toml", "film"):
            self._path(key, kind).unlink(missing_ok=True)

    def _path(self, key: int, kind: str) -> Path:
        self._folder.mkdir(exist_ok=True, mode=0o700)
        return self._folder / f"{key}.{kind}"

    def _read(self) -> dict[int, _Kept]:
        """Read what was asked before; what ran when the node stopped has failed, what waited goes on."""
        found: dict[int, _Kept] = {}
        for file in self._folder.glob("*.json"):
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):  # damaged
                one = msgspec.json.decode(file.read_bytes(), type=_Kept)
                if one.view.state == "running":
                    view = replace(one.view, state="failed", said="the node was stopped", ended=_now_ms())
                    one = replace(one, view=view)
                found[one.view.id] = one
        if any(one.view.state == "waiting" for one in found.values()):
            self._loop.call_soon(self._go)
        return found


def _changed(body: dict[str, Any], question: QuestionView, wish: Asking) -> dict[str, Any]:
    """Return what a question asks with the numbers that were given; ``UsageError`` for those it has not."""
    for given, has in ((wish.scenario, question.scenario), (wish.measure, question.measure)):
        if odd := sorted(set(given) - set(has)):
            raise UsageError(
                f"{question.name} has no {odd[0]!r} to change",
                hint=f"quantities it has: {', '.join(has) or '-'}",
            )
    do = dict(body.get("do", {}))
    for part in ("scenario", "commands"):
        do[part] = {name: wish.measure.get(name, value) for name, value in do.get(part, {}).items()}
    found = {**body, "scenario": {**question.scenario, **wish.scenario}, "do": do}
    minutes = question.minutes if wish.minutes is None else wish.minutes
    return found | ({} if minutes is None else {"minutes": minutes})


def _kept_ms(data: Path, twin: str) -> int | None:
    """Return when a twin last wrote down where it is, in ms since 1970."""
    try:
        return path_of(data, twin).stat().st_mtime_ns // 1_000_000
    except OSError:
        return None


def _sees(scope: Scope, one: _Kept) -> bool:
    return scope.project is None or scope.project == one.project


async def _all(stream: asyncio.StreamReader | None) -> bytes:
    return b"" if stream is None else await stream.read()


async def _lines(stream: asyncio.StreamReader | None) -> AsyncIterator[str]:
    while stream is not None:
        try:
            line = await stream.readline()
        except ValueError:  # longer than a stream holds: no word of ours
            continue
        if not line:
            return
        yield line.decode("utf-8", "replace").rstrip()


def _plain(tree: Any) -> Any:
    """Leave out what is None, for which TOML has no word."""
    match tree:
        case dict():
            return {name: _plain(value) for name, value in tree.items() if value is not None}
        case list():
            return [_plain(value) for value in tree]
        case _:
            return tree


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
