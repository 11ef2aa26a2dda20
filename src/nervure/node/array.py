"""Data arrays on their way into the log: as few messages as their size allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from nervure.core.error import QueryError
from nervure.core.observation import Group, observation_id

__all__ = ["Message", "ids_of", "messages"]

_FEATURES = ("FeatureOfInterest", "FeatureOfInterest/@iot.id")
_FEATURE = "FeatureOfInterest/id"
_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Table(msgspec.Struct, frozen=True):
    rows: list[msgspec.Raw] = msgspec.field(name="dataArray")


_tables = msgspec.json.Decoder(list[_Table]).decode


class Message(msgspec.Struct, frozen=True):
    """One message of the log, and how many Observations it holds at most."""

    payload: bytes
    most: int

    def count(self) -> int:
        """Return how many Observations it holds, which takes a look at each."""
        try:
            return sum(len(one.rows) for one in _tables(self.payload))
        except (msgspec.DecodeError, RecursionError) as cause:
            raise QueryError(f"dataArray is no list of rows: {cause}") from cause


def messages(groups: Sequence[Group], most_bytes: int, most_rows: int) -> list[Message]:
    """Write groups as messages of at most so many bytes and rows, in order.

    >>> group = Group(datastream=7, components=("result",), rows=b"[[1],[2]]")
    >>> messages([group], 1000, 1000)[0].payload
    b'[{"Datastream":{"@iot.id":7},"components":["result"],"dataArray":[[1],[2]]}]'
    >>> [message.count() for message in messages([group], 1000, 1)]
    [1, 1]
    """
    found: list[Message] = []
    parts: list[bytes] = []
    size = count = 0
    for head, rows, body in _cut(groups, most_bytes, most_rows):
        length = len(head) + len(body) + 2
        if parts and (size + length + 2 > most_bytes or count + rows > most_rows):
            found.append(Message(b"[%b]" % b",".join(parts), count))
            parts, size, count = [], 0, 0
        parts.append(b"%b%b}" % (head, body))
        size += length
        count += rows
    if parts:
        found.append(Message(b"[%b]" % b",".join(parts), count))
    return found


def _cut(groups: Sequence[Group], most_bytes: int, most_rows: int) -> Iterator[tuple[bytes, int, bytes]]:
    """Yield the beginning of each table, how many rows it has at most and their text, none too large."""
    for group in groups:
        names = [_FEATURE if name in _FEATURES else name for name in group.components]
        head = b'{"Datastream":{"@iot.id":%d},"components":%b,"dataArray":' % (
            group.datastream,
            msgspec.json.encode(names),
        )
        room = most_bytes - len(head) - 8
        count = group.rows.count(b",") + 1 if group.count is None else group.count
        if count <= most_rows and len(group.rows) <= room:
            yield head, count, group.rows
            continue
        try:
            rows = _rows(group.rows)
        except (msgspec.DecodeError, RecursionError) as cause:
            raise QueryError(f"dataArray is no list of rows: {cause}") from cause
        if len(rows) <= most_rows and len(group.rows) <= room:
            yield head, len(rows), group.rows
            continue
        part: list[bytes] = []
        size = 0
        for raw in rows:
            row = bytes(raw)
            if len(row) > room:
                raise QueryError(f"a row of {len(row):,} bytes is too large for a message")
            if size + len(row) + 1 > room or len(part) == most_rows:
                yield head, len(part), b"[%b]" % b",".join(part)
                part, size = [], 0
            part.append(row)
            size += len(row) + 1
        if part:
            yield head, len(part), b"[%b]" % b",".join(part)


def ids_of(sequence: int, rows: Sequence[int], count: int) -> Sequence[int | None]:
    """Return the id of each of the readings of a message, None for those whose places are not in ``rows``."""
    if len(rows) == count:
        first = observation_id(sequence)
        return range(first, first + count)
    found: list[int | None] = [None] * count
    for index in rows:
        found[index] = observation_id(sequence, index)
    return found
