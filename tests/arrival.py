"""Messages as they come out of the log, and what the intake made of them."""

from __future__ import annotations

import json
from typing import Any

from nervure.core.entity import Datastream
from nervure.core.instant import HOUR_NS, SECOND_NS
from nervure.core.observation import Batch, Reject
from nervure.core.settings import Limits
from nervure.sense.intake import Intake
from nervure.stream.subject import reading_subject
from nervure.stream.wire import Entries

NOW = 1_677_657_600 * SECOND_NS  # 2023-03-01T08:00:00Z
STREAMS = (
    Datastream(
        id=7, name="mill inflow", unit="L/s", thing=1, solution="water", low=0, high=500, every_ns=HOUR_NS
    ),
    Datastream(
        id=8, name="mill inflow forecast", unit="L/s", thing=1, kind="forecast", source=7, solution="water"
    ),
    Datastream(id=9, name="door", unit="", thing=2, solution="water"),
    Datastream(id=10, name="air", unit="Cel", thing=2, solution="water"),
)


def arrive(*messages: tuple[int | str, Any], first: int = 1, gap_ns: int = 0) -> Entries:
    """Put messages into the log: a Datastream's id or a subject, and what was sent (JSON if no bytes)."""
    return Entries(
        sequence=list(range(first, first + len(messages))),
        subject=[reading_subject(one) if isinstance(one, int) else one for one, _ in messages],
        payload=[one if isinstance(one, bytes) else json.dumps(one).encode() for _, one in messages],
        received_ns=[NOW + place * gap_ns for place in range(len(messages))],
    )


def part_of(entries: Entries, start: int, count: int) -> Entries:
    return Entries(
        **{name: getattr(entries, name)[start : start + count] for name in Entries.__struct_fields__}
    )


def take(*messages: tuple[int | str, Any], **limits: Any) -> tuple[Batch, list[Reject]]:
    return Intake(STREAMS, Limits(**limits)).take(arrive(*messages))


def only_reject(*messages: tuple[int | str, Any], **limits: Any) -> Reject:
    batch, rejects = take(*messages, **limits)
    assert len(batch) == 0
    assert len(rejects) == 1
    return rejects[0]
