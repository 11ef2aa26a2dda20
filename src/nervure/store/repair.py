"""Opening the table after anything may have happened to it.

A commit is whole or not there, so a process that died leaves nothing to repair. What is handled
here is damage: a newest commit, checkpoint or file that was cut off or overwritten. The table
then falls back to the version before, whose position is older, and the log (which is kept one
commit longer than needed) refills the rest. Anything that the log cannot refill is an error.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
from deltalake import DeltaTable

from nervure.core.error import StoreError
from nervure.core.observation import observation_id
from nervure.store import sums
from nervure.store.delta import BEFORE, OURS, SUM, Delta, create, position_of, positions, widen
from nervure.store.failure import storing
from nervure.store.shelf import Shelf, shelve
from nervure.store.sums import fits

__all__ = ["damaged", "recover", "sweep"]

_LOGGER = logging.getLogger("nervure.store")
_COMMIT = re.compile(r"\d{20}\.json")
_CHECKPOINT = re.compile(r"\d{20}\.checkpoint(\.[\w-]+)*\.parquet")


def sweep(folder: Path, *, spilled: bool = True) -> None:
    """Delete what a process that died, or a full disk, left half written."""
    spill = ("_spill/*",) if spilled else ()
    for pattern in ("_delta_log/_commit_*.tmp", "_delta_log/*#*", "day=*/*#*", *spill):
        for path in folder.glob(pattern):
            if path.is_file():
                path.unlink(missing_ok=True)


def recover(folder: Path, *, forget: bool = False) -> tuple[DeltaTable, list[str]]:
    """Open the table and return it with a line on each repair that was needed.

    ``forget`` goes on without the rows of files that are damaged beyond what the log can refill.
    """
    log = folder / "_delta_log"
    if not any(log.glob("*.json")) and not any(log.glob("*.parquet")):
        return create(folder), []
    notes = _set_aside_commit(folder) + _set_aside_checkpoint(folder)
    if not any(log.glob("*.json")) and not any(log.glob("*.parquet")):
        return create(folder), notes
    with storing("open the observations", folder):
        table = DeltaTable(folder)
    broken = damaged(table, folder)
    if broken:
        try:
            note, table = _fall_back(folder, table, broken)
        except StoreError:
            if not forget:
                raise
            note, table = _forget(folder, table, broken)
        notes.append(note)
    for note in notes:
        _LOGGER.warning(note)
    return widen(folder, table), notes


def damaged(table: DeltaTable, folder: Path) -> list[str]:
    """Return the files of a version that are missing, cut off, or (the newest ones) cannot be read.

    Every file's size is compared, and its sum where that is known; those that hold readings after the last
    commit but one are read in full, for only these could the log refill.
    """
    shelf = shelve(table, folder)
    newest = observation_id((table.transaction_version(BEFORE) or 0) + 1)
    known = sums.load(folder)
    found = []
    for number, name in enumerate(shelf.path):
        path = Path(name)
        try:
            whole = path.stat().st_size == shelf.size[number]
        except OSError:
            whole = False
        whole = whole and fits(path, known)
        if not whole or (shelf.high_id[number] >= newest and not _readable(path)):
            found.append(str(name))
    return found


def _readable(path: Path) -> bool:
    try:
        pq.ParquetFile(path).read()
    except Exception:  # noqa: BLE001 - whatever a broken file makes the reader say
        return False
    return True


def _set_aside_commit(folder: Path) -> list[str]:
    """Move the newest commit away if it was cut off."""
    commits = sorted(path for path in (folder / "_delta_log").glob("*.json") if _COMMIT.fullmatch(path.name))
    if not commits or _complete(commits[-1]):
        return []
    _move(folder, commits[-1])
    return [f"the newest commit of the observations, {commits[-1].name}, was damaged and is set aside"]


def _complete(commit: Path) -> bool:
    """Tell whether a commit is whole: each line is JSON; ours end with a transaction and say their sum."""
    try:
        actions = [msgspec.json.decode(line) for line in commit.read_bytes().splitlines()]
    except (OSError, msgspec.DecodeError):
        return False
    if not actions or not all(isinstance(action, dict) for action in actions):
        return False
    about = actions[0].get("commitInfo", {})
    ours = isinstance(about, dict) and OURS.items() <= about.items()
    return not ours or ("txn" in actions[-1] and (SUM not in about or about[SUM] == _sum(actions)))


def _sum(actions: Sequence[dict[str, Any]]) -> str:
    """Return the sum of what a commit says, nothing where it lacks something."""
    added, removed, marks = (
        [one[kind] for one in actions if kind in one] for kind in ("add", "remove", "txn")
    )
    try:
        return sums.of_commit(
            [(one["path"], one["size"], one["partitionValues"], one["stats"]) for one in added],
            [one["path"] for one in removed],
            [(one["appId"], one["version"]) for one in marks],
        )
    except (KeyError, TypeError, AttributeError):
        return ""


def _set_aside_checkpoint(folder: Path) -> list[str]:
    """Move the newest checkpoint away if it cannot be read; the commits say the same."""
    log = folder / "_delta_log"
    found = sorted(path for path in log.glob("*.parquet") if _CHECKPOINT.fullmatch(path.name))
    hint = log / "_last_checkpoint"
    if found and not _readable(found[-1]):
        _move(folder, found[-1])
        hint.unlink(missing_ok=True)
        return [f"the newest checkpoint of the observations, {found[-1].name}, was damaged and is set aside"]
    if hint.exists() and not found:
        hint.unlink()
    return []


def _move(folder: Path, path: Path) -> None:
    with storing("set a damaged file aside", folder):
        aside = folder / "_damaged"
        aside.mkdir(exist_ok=True)
        path.replace(aside / path.name)


def _fall_back(folder: Path, table: DeltaTable, broken: Sequence[str]) -> tuple[str, DeltaTable]:
    """Restore the newest version that is whole and that the log can lead on from."""
    floor = table.transaction_version(BEFORE) or 0
    for version in range(table.version() - 1, -1, -1):
        try:
            older = DeltaTable(folder, version=version)
        except Exception:  # noqa: BLE001 - the log of that version is gone
            break
        if position_of(older) < floor:
            break
        if not damaged(older, folder):
            lost = position_of(table)
            with storing("restore the observations", folder):
                before = older.transaction_version(BEFORE) or 0
                table.restore(version, commit_properties=positions(position_of(older), before))
                table = DeltaTable(folder)
            note = f"{len(broken)} files of the observations were damaged: back from position {lost} to "
            return f"{note}{position_of(table)}; the log refills the rest", table
    raise _beyond(folder, table, broken)


def _beyond(folder: Path, table: DeltaTable, broken: Sequence[str]) -> StoreError:
    shelf = shelve(table, folder)
    rows = int(shelf.rows[_numbers(shelf, broken)].sum())
    return StoreError(
        f"{len(broken)} files of the observations with {rows} readings are missing or damaged, "
        "and the log no longer holds them",
        where=broken[0],
        hint="bring the files back from a copy, or open the store with forget=True to go on without them",
    )


def _forget(folder: Path, table: DeltaTable, broken: Sequence[str]) -> tuple[str, DeltaTable]:
    shelf = shelve(table, folder)
    numbers = _numbers(shelf, broken)
    Delta(folder, table).drop(shelf, numbers, refill=True)
    rows = int(shelf.rows[numbers].sum())
    note = f"{len(broken)} damaged files of the observations with {rows} readings were given up"
    return note, DeltaTable(folder)


def _numbers(shelf: Shelf, paths: Sequence[str]) -> list[int]:
    chosen: list[int] = np.flatnonzero(np.isin(shelf.path.astype(str), list(paths))).tolist()
    return chosen
