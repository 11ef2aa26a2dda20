from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from nervure.core.error import StoreError
from nervure.core.instant import DAY_NS, SECOND_NS
from nervure.core.observation import Batch, observation_id
from nervure.store import delta, sums
from nervure.store.merge import MANY
from nervure.store.merge import merge as merged
from nervure.store.observations import Observations

START = 19_675 * DAY_NS
COMMITS = 6


def message(sequence: int) -> Batch:
    """Three readings on two days: what the log holds at ``sequence``, always the same."""
    return Batch.of(
        id=[observation_id(sequence, index) for index in range(3)],
        datastream=[1, 2, 2],
        time=[START + day * DAY_NS + sequence * SECOND_NS for day in (0, 0, 1)],
        value=[sequence + 0.5, -sequence, 7.0],
    )


def fill(store: Observations, upto: int) -> None:
    """Play the log from where the store stands, a commit a message."""
    for sequence in range(store.position + 1, upto + 1):
        store.append(message(sequence), sequence)
        store.seal()


def content(store: Observations) -> list[tuple[int, int, int, float]]:
    found = store.series([1, 2])
    columns = (found.id.tolist(), found.datastream.tolist(), found.time.tolist(), found.value.tolist())
    return list(zip(*columns, strict=True))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good") / "observations"
    store = Observations.open(folder)
    fill(store, COMMITS)
    store.close()
    return folder


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "observations"))


def newest_commit(folder: Path) -> Path:
    return max((folder / "_delta_log").glob("*.json"))


def newest_file(folder: Path) -> Path:
    added = set(DeltaTable(folder).file_uris()) - set(DeltaTable(folder, version=COMMITS - 1).file_uris())
    return Path(min(added))


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scramble(path: Path) -> None:
    """Overwrite the middle and keep the size, as a bad sector does."""
    data = bytearray(path.read_bytes())
    data[4 : len(data) // 2] = bytes(len(data) // 2 - 4)
    path.write_bytes(data)


def without_position(path: Path) -> None:
    """Cut before the two transactions that end a commit: every line that is left is whole."""
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-2]))


DAMAGES: dict[str, tuple[Callable[[Path], Path], Callable[[Path], object]]] = {
    "file cut off": (newest_file, half),
    "file emptied": (newest_file, lambda path: path.write_bytes(b"")),
    "file gone": (newest_file, lambda path: path.unlink()),
    "file scrambled": (newest_file, scramble),
    "commit cut off": (newest_commit, half),
    "commit cut at a line": (newest_commit, without_position),
    "commit emptied": (newest_commit, lambda path: path.write_bytes(b"")),
    "commit scrambled": (newest_commit, lambda path: path.write_bytes(b"\0" * 500)),
    "commit gone": (newest_commit, lambda path: path.unlink()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_commit_is_refilled_from_the_log(folder: Path, damage: str) -> None:
    where, harm = DAMAGES[damage]
    harm(where(folder))
    store = Observations.open(folder)
    assert store.position == COMMITS - 1, store.repaired
    assert store.count() == 3 * (COMMITS - 1)
    assert store.repaired or damage == "commit gone"  # then there is nothing to be seen of it
    fill(store, COMMITS + 2)
    expected = content(store)
    assert len(expected) == 3 * (COMMITS + 2)
    store.close()
    store = Observations.open(folder)
    assert store.repaired == ()
    assert content(store) == expected
    assert {row[0] for row in expected} == {
        observation_id(sequence, index) for sequence in range(1, COMMITS + 3) for index in range(3)
    }
    store.close()


def test_the_log_is_kept_as_far_back_as_a_repair_may_go(folder: Path) -> None:
    store = Observations.open(folder)
    safe = store.safe_position
    store.close()
    half(newest_file(folder))
    store = Observations.open(folder)
    assert store.position >= safe
    store.close()


@pytest.mark.parametrize("harm", [half, scramble, lambda path: path.unlink()])
def test_a_damaged_merged_file_gives_way_to_those_before(folder: Path, harm: Callable[[Path], None]) -> None:
    store = Observations.open(folder)
    fill(store, 10)
    expected = content(store)
    assert store.compact() > 0
    store.close()
    harm(next(folder.glob("day=*/merged-*")))
    store = Observations.open(folder)
    assert store.repaired
    assert store.position == 10
    assert content(store) == expected
    store.close()


@pytest.mark.parametrize("harm", [half, lambda path: path.unlink()])
def test_a_damaged_checkpoint_is_set_aside(folder: Path, harm: Callable[[Path], None]) -> None:
    DeltaTable(folder).create_checkpoint()
    harm(next(folder.glob("_delta_log/*.checkpoint.parquet")))
    store = Observations.open(folder)
    assert (store.position, store.count()) == (COMMITS, 3 * COMMITS)
    store.close()


def test_damage_that_the_log_cannot_refill_is_an_error_until_it_is_given_up(folder: Path) -> None:
    old = Path(min(DeltaTable(folder, version=1).file_uris()))
    half(old)
    half(newest_file(folder))
    with pytest.raises(
        StoreError, match=r"2 files of the observations with \d readings are missing or damaged"
    ) as caught:
        Observations.open(folder)
    assert caught.value.hint is not None
    assert "forget=True" in caught.value.hint
    store = Observations.open(folder, forget=True)
    assert store.position == COMMITS - 1
    fill(store, COMMITS)
    assert store.count() == 3 * COMMITS - _rows(old)
    store.close()
    Observations.open(folder).close()


def _rows(old: Path) -> int:
    return 1 if old.parent.name == "day=2023-11-15" else 2


def test_a_damaged_older_commit_is_an_error(folder: Path) -> None:
    sorted((folder / "_delta_log").glob("*.json"))[2].write_bytes(b"\0" * 50)
    with pytest.raises(StoreError, match="cannot open the observations") as caught:
        Observations.open(folder)
    assert caught.value.hint


def test_what_a_dead_process_left_half_written_is_swept_away(folder: Path) -> None:
    left = [folder / "_delta_log" / "_commit_1.json.tmp", folder / "day=2023-11-14" / "part-x.parquet#1"]
    for path in left:
        path.write_bytes(b"half")
    store = Observations.open(folder)
    assert not any(path.exists() for path in left)
    assert (store.position, store.repaired) == (COMMITS, ())
    store.close()


def broken_off(store: Observations, monkeypatch: pytest.MonkeyPatch, cause: BaseException) -> None:
    """Commit the next message, and fail right after."""
    store.append(message(COMMITS + 1), COMMITS + 1)
    commit = delta.Delta._commit

    def fail_after(*arguments: Any) -> None:
        commit(*arguments)
        raise cause

    with monkeypatch.context() as patched:
        patched.setattr(delta.Delta, "_commit", fail_after)
        store.seal()


def test_a_commit_that_got_through_although_it_seemed_to_fail_counts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Observations.open(folder)
    with pytest.raises(StoreError, match="Input/output error"):
        broken_off(store, monkeypatch, OSError(errno.EIO, "Input/output error"))
    store.append(message(COMMITS + 2), COMMITS + 2)
    store.seal()
    assert store.position == COMMITS + 2
    ids = [row[0] for row in content(store)]
    assert store.count() == len(ids) == len(set(ids)) == 3 * (COMMITS + 2)
    store.close()


def noticed(folder: Path, good: Path) -> str:
    """Return what is said of damage in the newest commit, once the log has filled it up."""
    store, whole = Observations.open(folder), Observations.open(good, write=False)
    (said,) = store.repaired
    assert store.position == COMMITS - 1
    fill(store, COMMITS)
    assert content(store) == content(whole)
    whole.close()
    store.close()
    return said


@pytest.mark.parametrize(
    ("what", "other"),
    [
        (f'"version":{COMMITS}', f'"version":{COMMITS ^ 1}'),  # the table held more of the log than it did
        ('"appId":"log"', '"appId":"lof"'),
        ('"txn":', '"tyn":'),
        ('"add":', '"ade":'),
        ('\\"numRecords\\":', '\\"numRecorfs\\":'),
        ("day=2023", "day=2022"),
        ('"day":"2023', '"day":"2022'),
    ],
)
def test_a_bit_that_turned_in_the_newest_commit_is_noticed(
    good: Path, folder: Path, what: str, other: str
) -> None:
    commit = newest_commit(folder)
    text = commit.read_text("utf-8")
    assert what in text
    commit.write_text(text.replace(what, other, 1), "utf-8")
    assert "damaged and is set aside" in noticed(folder, good)


def test_a_commit_of_an_older_release_has_no_sum(folder: Path) -> None:
    commit = newest_commit(folder)
    text = re.sub(r',"sum":"\w+"|"sum":"\w+",', "", commit.read_text("utf-8"), count=1)
    assert "sum" not in text
    commit.write_text(text, "utf-8")
    store = Observations.open(folder)
    assert (store.repaired, store.position) == ((), COMMITS)
    store.close()


@pytest.mark.parametrize("share", [one / 12 for one in range(12)])
def test_a_bit_that_turned_in_the_newest_file_is_noticed(good: Path, folder: Path, share: float) -> None:
    path = newest_file(folder)
    data = bytearray(path.read_bytes())
    data[int(share * len(data))] ^= 4
    path.write_bytes(data)
    assert "damaged" in noticed(folder, good)


@pytest.mark.parametrize("sealed_meanwhile", [False, True])
def test_a_bit_that_turned_in_what_was_just_merged_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sealed_meanwhile: bool
) -> None:
    """Until the next seal a merged file had no sum: a bit could make a reading one of another stream."""
    folder, end = tmp_path / "observations", MANY + 1
    store = Observations.open(folder)
    fill(store, MANY)

    def merge(*arguments: Any) -> str:
        if sealed_meanwhile and store.position == MANY:
            fill(store, end)
        return merged(*arguments)

    monkeypatch.setattr("nervure.store.observations.merge", merge)
    assert store.compact() == 2 * (MANY - 1)
    now, before = Path(shutil.copytree(folder, tmp_path / "now")), content(store)
    store.close()
    for pattern in ("merged-*", "part-*") if sealed_meanwhile else ("merged-*",):
        known = {Path(one).name for one in DeltaTable(now).file_uris()}
        paths = [one for one in now.glob(f"day=*/{pattern}") if one.name in known]
        assert len(paths) == 2
        for path in paths:
            data = bytearray(path.read_bytes())
            data[len(data) // 3] ^= 4
            path.write_bytes(data)
            again = Observations.open(now)
            assert "damaged" in again.repaired[0]
            fill(again, end if sealed_meanwhile else MANY)
            assert content(again) == before
            again.close()
            shutil.rmtree(now)
            shutil.copytree(folder, now)


def test_who_dies_right_after_a_commit_has_kept_its_sums(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Observations.open(folder)
    with pytest.raises(KeyboardInterrupt):
        broken_off(store, monkeypatch, KeyboardInterrupt())
    store.close()
    added = set(DeltaTable(folder).file_uris()) - set(DeltaTable(folder, version=COMMITS).file_uris())
    assert {Path(one).name for one in added} <= {*sums.load(folder)}
    assert len(added) == 2


def test_a_file_without_a_sum_is_taken_as_it_reads(good: Path, folder: Path) -> None:
    for damage in (lambda path: path.unlink(), lambda path: path.write_bytes(b"{"), half):
        shutil.copy(good / "_sums.json", folder / "_sums.json")
        damage(folder / "_sums.json")
        store = Observations.open(folder)
        assert (store.repaired, store.position) == ((), COMMITS)
        store.close()
