"""The hub: tells MQTT clients what is made and changed, as SensorThings has it (OGC 18-088, section 14).

What nobody follows is not computed. Who follows what is asked of the server when something has
changed, the less often the more changes there are: what is followed already is told at once, and
who has come since the last look is told of what changed since then. So nobody who subscribed before
a change misses it, and an idle node asks nothing.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import msgspec

from nervure.core.error import NervureError, NotFoundError, StreamError
from nervure.core.observation import NO_END, Batch
from nervure.core.sensorthings import BY_NAME, Kind
from nervure.node.follow import Follow, Follows, owners, read
from nervure.serve import document
from nervure.serve.path import Target
from nervure.store.language.option import Options, parse_options
from nervure.store.scope import EVERYTHING, Scope
from nervure.store.select.row import Found
from nervure.store.write.form import Touched
from nervure.stream.subject import HEARD_SUBJECTS, OUT_PREFIX

__all__ = ["Hub", "Things", "Wire"]

_log = logging.getLogger("nervure.node")

SHORTEST_S, LONGEST_S = 0.005, 0.05
EACH_S = 0.0005
"""How long to wait between two looks: at least, at most, and for each change since the last or before it."""

BLIND_S = 60.0
ROOM = 100_000
_PART = 512
_OBSERVATION = BY_NAME["Observation"]

Message = tuple[str, bytes]
Change = Touched | Batch


class Wire(Protocol):
    """What the hub asks of the log."""

    async def followed(self, tree: str, /) -> set[str]:
        """Return the subjects below a tree that somebody follows now."""
        ...

    async def send_many(self, items: Sequence[Message], /) -> None:
        """Send messages to whoever listens."""
        ...


class Things(Protocol):
    """What the hub asks of the reading side."""

    def resolve(self, path: str, scope: Scope = ..., /) -> Target:
        """Return where a path leads."""
        ...

    def get(self, path: str, query: str, base: str, scope: Scope = ..., /) -> Any:
        """Answer a GET."""
        ...

    def entity(
        self, kind: Kind, id: int, base: str, scope: Scope = ..., query: str = ""
    ) -> dict[str, Any] | None:
        """Return an entity as it is answered."""
        ...


class Hub:
    """Turns changes into messages for those who follow them.

    ``base`` is the address that links begin with. ``inside`` says that the server is our own, which
    brings what we say under ``nv.out.`` out on its plain subject.
    """

    def __init__(self, wire: Wire, things: Things, base: str, *, inside: bool = True) -> None:
        self.told = 0
        self.shed = 0
        self._wire = wire
        self._things = things
        self._base = base
        self._prefix = OUT_PREFIX if inside else ""
        self._follows = Follows()
        self._fresh: deque[Change] = deque()
        self._recent: deque[Change] = deque()
        self._rows = self._lately = 0
        self._looked = 0.0
        self._blind_until = 0.0
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._multi: frozenset[int] = frozenset()
        self._lock = threading.Lock()

    def know(self, multi: Iterable[int]) -> None:
        """Take over which Datastreams are MultiDatastreams."""
        self._multi = frozenset(multi)

    def heard(self, touched: Sequence[Touched]) -> None:
        """Take in entities that were made or changed; from any thread."""
        self._loop.call_soon_threadsafe(self._add, list(touched), len(touched))

    def took(self, batch: Batch) -> None:
        """Take in Observations that answers have now; on the node's loop."""
        if len(batch):
            self._add([batch], len(batch))

    def _add(self, changes: Sequence[Change], rows: int) -> None:
        self._fresh.extend(changes)
        self._rows += rows
        while self._rows > ROOM and (self._recent or self._fresh):
            gone = self._recent.popleft() if self._recent else self._fresh.popleft()
            size = len(gone) if isinstance(gone, Batch) else 1
            self._rows -= size
            self.shed += size
        self._wake.set()

    async def run(self) -> None:
        """Tell, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._tell_fresh()
            wait = min(LONGEST_S, max(SHORTEST_S, EACH_S * max(self._rows, self._lately)))
            pause = self._looked + wait - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
                await self._tell_fresh()
            await self._look()

    async def _tell_fresh(self) -> None:
        """Tell what is new to those we know of, and keep it for those we do not know of yet."""
        changes = list(self._fresh)
        self._fresh.clear()
        self._recent.extend(changes)
        await self._tell(changes, self._follows)

    async def _look(self) -> None:
        """See who follows what now, and tell the new ones what is recent."""
        recent = list(self._recent)
        self._recent.clear()
        self._lately = sum(len(one) if isinstance(one, Batch) else 1 for one in recent)
        self._rows -= self._lately
        self._looked = time.monotonic()
        if self._looked < self._blind_until:
            return
        try:
            subjects = await self._wire.followed(HEARD_SUBJECTS)
        except StreamError as cause:
            # A server of somebody else that does not tell: say everything on the plain topics.
            _log.warning("who listens by MQTT is not known, so everything is told: %s", cause.what)
            self._blind_until = time.monotonic() + BLIND_S
            subjects = {HEARD_SUBJECTS}
        before = self._follows
        if subjects == before.subjects:
            return
        self._follows = read(subjects)
        come = {
            one
            for one in subjects - before.subjects
            if not any(way.fullmatch(one) for way in before.patterns)  # it has heard them already
        }
        await self._tell(recent, read(come))

    async def _tell(self, changes: Sequence[Change], follows: Follows) -> None:
        if not follows or not changes:
            return
        messages = await asyncio.to_thread(self._messages, changes, follows)
        for start in range(0, len(messages), _PART):
            try:
                await self._wire.send_many(messages[start : start + _PART])
            except StreamError as cause:
                _log.debug("nobody could be told: %s", cause)
                return
        self.told += len(messages)

    def _messages(self, changes: Sequence[Change], follows: Follows) -> list[Message]:
        found: list[Message] = []
        with self._lock:
            for change in changes:
                try:
                    if isinstance(change, Batch):
                        found += self._observations(change, follows)
                    elif follows.of(change.kind):
                        found += self._entity(change, follows)
                except NervureError as cause:
                    _log.debug("a change could not be told: %s", cause)
        return [(f"{self._prefix}{subject}", payload) for subject, payload in found]

    # --- entities --------------------------------------------------------------------------------

    def _entity(self, touched: Touched, follows: Follows) -> list[Message]:
        kind = BY_NAME[touched.kind]
        full = self._things.entity(kind, touched.id, self._base)
        if full is None:  # it was deleted meanwhile
            return []
        found = []
        for follow in follows.kinds.get(kind.name, ()):
            changed = touched.made or not follow.properties or follow.properties & touched.properties
            if changed and self._meant(follow, touched.id, full["@iot.id"]):
                body = self._wanted(follow, touched.id, full)
                if body is not None:
                    found.append((follow.subject, msgspec.json.encode(body)))
        if follows.patterns or kind.name == "Observation":
            near = self._near(kind, touched.id)
            text = msgspec.json.encode(full)
            found += [(one, text) for one in self._matched(kind, full["@iot.id"], near, follows)]
            found += self._of_stream(touched, near, full, follows)
        return found

    def _meant(self, follow: Follow, row: int, name: int | str) -> bool:
        """Whether an entity is among those that a topic leads to."""
        step = follow.way.steps[-1]
        if follow.plain:
            return step.many or step.key == name
        try:
            target = self._things.resolve(follow.path)
            if not target.many:
                return target.id == row
            text = f"'{name.replace(chr(39), 2 * chr(39))}'" if isinstance(name, str) else name
            answer = self._things.get(follow.path, f"$filter=id eq {text}&$select=id&$top=1", self._base)
        except NotFoundError:
            return False
        return bool(msgspec.json.decode(answer.body)["value"])

    def _wanted(self, follow: Follow, row: int, full: dict[str, Any]) -> dict[str, Any] | None:
        if follow.single:
            return {follow.single: full.get(follow.single)}
        if not follow.query:
            return full
        return self._things.entity(follow.kind, row, self._base, EVERYTHING, follow.query)

    def _near(self, kind: Kind, row: int) -> dict[str, int | str]:
        """Return the ids of what an entity belongs to."""
        ones = [one for one in kind.relations if not one.many]
        if not ones:
            return {}
        query = "$select=id&$expand=" + ",".join(f"{one.name}($select=id)" for one in ones)
        found = self._things.entity(kind, row, self._base, EVERYTHING, query) or {}
        return {one.name: found[one.name]["@iot.id"] for one in ones if isinstance(found.get(one.name), dict)}

    def _of_stream(
        self, touched: Touched, near: dict[str, int | str], full: dict[str, Any], follows: Follows
    ) -> list[Message]:
        """Tell of an Observation that was changed to those who follow its Datastream."""
        if touched.kind != "Observation":
            return []
        stream = near.get("Datastream", near.get("MultiDatastream"))
        found = []
        for follow in follows.streams.get(stream, ()) if isinstance(stream, int) else ():
            if not follow.properties or follow.properties & touched.properties:
                body = self._wanted(follow, touched.id, full)
                if body is not None:
                    found.append((follow.subject, msgspec.json.encode(body)))
        return found

    def _matched(
        self, kind: Kind, name: int | str, near: dict[str, int | str], follows: Follows
    ) -> list[str]:
        """Return the plain subjects of an entity that topics with wildcards stand for."""
        if not follows.patterns:
            return []
        return [
            one
            for one in owners(kind, name, near)
            if one not in self._follows.subjects and any(way.fullmatch(one) for way in follows.patterns)
        ]

    # --- observations ----------------------------------------------------------------------------

    def _observations(self, batch: Batch, follows: Follows) -> list[Message]:
        if not follows.of("Observation"):
            return []
        ways = follows.kinds.get("Observation", ())
        found: list[Message] = []
        choices = {one.query: parse_options(one.query, _OBSERVATION) for one in _all(follows)}
        for place, stream in enumerate(batch.datastream.tolist()):
            near = follows.streams.get(stream, ())
            if not near and not ways and not follows.patterns:
                continue
            row = self._row(batch, place)
            made: dict[str, bytes] = {}
            for follow in (*near, *ways):
                if follow in near or self._meant(follow, row["id"], row["id"]):
                    text = made.get(follow.query)
                    if text is None or follow.single:
                        body = self._written(row, choices[follow.query])
                        if follow.single:
                            body = {follow.single: body.get(follow.single)}
                        text = msgspec.json.encode(body)
                    if not follow.single:
                        made[follow.query] = text
                    found.append((follow.subject, text))
            if follows.patterns:
                above: dict[str, int | str] = {"MultiDatastream" if row["multi"] else "Datastream": stream}
                if row["feature"] is not None:
                    above["FeatureOfInterest"] = row["feature"]
                text = msgspec.json.encode(self._written(row, Options()))
                found += [(one, text) for one in self._matched(_OBSERVATION, row["id"], above, follows)]
        return found

    def _written(self, row: dict[str, Any], options: Options) -> dict[str, Any]:
        return document.entity(Found(kind=_OBSERVATION, row=row), self._base, options, {})

    def _row(self, batch: Batch, place: int) -> dict[str, Any]:
        """Return a row of a batch as the store would give it."""
        stream = int(batch.datastream[place])
        end = NO_END if batch.end_time is None else int(batch.end_time[place])
        feature = 0 if batch.feature is None else int(batch.feature[place])
        value, low, high = float(batch.value[place]), float(batch.low[place]), float(batch.high[place])
        return {
            "id": int(batch.id[place]),
            "key": None,
            "datastream": stream,
            "multi": stream in self._multi,
            "time": int(batch.time[place]) // 1000,
            "end_time": None if end == NO_END else end // 1000,
            "result_time": int(batch.result_time[place]) // 1000,
            "value": value if value == value else None,  # noqa: PLR0124 - NaN is unlike itself
            "low": low if low == low else None,  # noqa: PLR0124
            "high": high if high == high else None,  # noqa: PLR0124
            "quality": int(batch.quality[place]),
            "text": None if batch.text is None else batch.text[place],
            "feature": feature or None,
            "marks": 0 if batch.marks is None else int(batch.marks[place]),
            "extra": None if batch.extra is None else batch.extra[place],
        }


def _all(follows: Follows) -> list[Follow]:
    """Return the follows of Observations."""
    return [
        *follows.kinds.get("Observation", ()),
        *(one for several in follows.streams.values() for one in several),
    ]
