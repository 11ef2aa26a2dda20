"""The state of rules cut into portions by stream, and put together again, when others take them over."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
import numpy as np

from nervure.act.engine import State
from nervure.core.error import StoreError

__all__ = ["join", "portion"]


def portion(state: bytes, keep: Collection[int]) -> bytes:
    """Return the state of the rules on some Datastreams only, with the alerts that are open on them."""
    whole = msgspec.msgpack.decode(state, type=State)
    ids = np.frombuffer(whole.ids, dtype=np.int64)
    rows = np.flatnonzero(np.isin(ids, np.array(sorted(keep), dtype=np.int64)))
    place = {row: number for number, row in enumerate(rows.tolist())}
    return msgspec.msgpack.encode(
        msgspec.structs.replace(
            whole,
            ids=ids[rows].tobytes(),
            recent=_rows(whole.recent, len(ids), rows.tolist()),
            holds=[_rows(one, len(ids), rows.tolist()) for one in whole.holds],
            open=[
                msgspec.structs.replace(one, place=place[one.place])
                for one in whole.open
                if one.place in place
            ],
        )
    )


def join(states: Sequence[bytes]) -> bytes:
    """Return the states of several portions of the same rules as one."""
    parts = [msgspec.msgpack.decode(one, type=State) for one in states]
    if len({one.rules for one in parts}) != 1:
        raise StoreError("the portions are of other rules", hint="let the workers take up the same solutions")
    starts = np.cumsum([0, *(len(one.ids) // 8 for one in parts)]).tolist()
    return msgspec.msgpack.encode(
        State(
            ids=b"".join(one.ids for one in parts),
            clock_ns=max(one.clock_ns for one in parts),
            heard_ns=max(one.heard_ns for one in parts),
            recent={name: b"".join(one.recent[name] for one in parts) for name in parts[0].recent},
            holds=[
                {name: b"".join(one.holds[rule][name] for one in parts) for name in held}
                for rule, held in enumerate(parts[0].holds)
            ],
            rules=parts[0].rules,
            open=[
                msgspec.structs.replace(one, place=one.place + start)
                for part, start in zip(parts, starts, strict=False)
                for one in part.open
            ],
        )
    )


def _rows(columns: dict[str, bytes], count: int, rows: Sequence[int]) -> dict[str, bytes]:
    """Return some rows of columns of ``count`` rows, whatever the width of each."""
    found = {}
    for name, column in columns.items():
        wide = len(column) // count if count else 0
        found[name] = b"".join(column[row * wide : (row + 1) * wide] for row in rows)
    return found
