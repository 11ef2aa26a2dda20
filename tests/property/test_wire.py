from __future__ import annotations

import asyncio
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from nervure.stream.wire import Entries, Feed

PAYLOAD = st.binary(max_size=40) | st.sampled_from([b"", b"\r\n", b"MSG a 1 1\r\nx\r\n", b"HMSG \r\n" * 5])


def frame(number: int, payload: bytes, *, headers: bool, long: bool) -> bytes:
    """One message as the server writes it; see `nervure.stream.wire` for the two forms of its reply."""
    position = b"1.%d.%d.%d.0" % (10 * number, number, 1000 + number)
    reply = b"$JS.ACK.hub.acc.S.c.%b.tok" % position if long else b"$JS.ACK.S.c.%b" % position
    subject = b"$MQTT.msgs.v1//1.Datastreams(%d).Observations" % number
    if not headers:
        return b"MSG %b 1 %b %d\r\n%b\r\n" % (subject, reply, len(payload), payload)
    head = b"NATS/1.0\r\nNmqtt-Pub:1\r\n\r\n"
    sizes = (len(head), len(head) + len(payload))
    return b"HMSG %b 1 %b %d %d\r\n%b%b\r\n" % (subject, reply, *sizes, head, payload)


MESSAGE = st.tuples(PAYLOAD, st.booleans())
NOISE = st.sampled_from([b"PING\r\n", b"+OK\r\n", b"PONG\r\n", b'INFO {"a": 1, "b": "x y"}\r\n'])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(MESSAGE, min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 12), NOISE), max_size=4),
    st.lists(st.integers(1, 2000), max_size=8),
    st.booleans(),
)
def test_messages_are_read_whole_wherever_the_bytes_are_cut(
    messages: list[tuple[bytes, bool]],
    noise: list[tuple[int, bytes]],
    cuts: list[int],
    long: bool,
) -> None:
    parts = [
        frame(number, payload, headers=headers, long=long)
        for number, (payload, headers) in enumerate(messages, 1)
    ]
    for place, extra in noise:
        parts.insert(place, extra)
    stream = b"".join(parts)
    bounds = [0, *sorted({cut for cut in cuts if cut < len(stream)}), len(stream)]

    async def read() -> Entries | None:
        feed = Feed()
        for begin, end in itertools.pairwise(bounds):
            feed.data_received(stream[begin:end])
        return await feed.take(1.0)

    entries = asyncio.run(read())
    assert entries is not None
    numbers = range(1, len(messages) + 1)
    assert entries.payload == [payload for payload, _ in messages]
    assert entries.sequence == [10 * number for number in numbers]
    assert entries.received_ns == [1000 + number for number in numbers]
    assert entries.subject == [f"v1//1.Datastreams({number}).Observations" for number in numbers]
