"""Reading the log from a position: an ordered push consumer, made again after every interruption.

The consumer lives in the server's memory and acknowledges nothing; the position lies with the
reader. So an interruption costs a new consumer that starts after the last message handed out.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING

from nervure.core.error import StreamError
from nervure.stream.api import ask, ends, log_in
from nervure.stream.subject import STREAM

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from nervure.stream.api import Address
    from nervure.stream.wire import Entries, Feed

__all__ = ["read"]

_HEARTBEAT_S = 1.0
_PATIENCE_S = 5.0
_LONGEST_PAUSE_S = 1.0

_log = logging.getLogger("nervure.stream")


async def read(
    address: Address, after: int, *, stream: str = STREAM, subject: str | None = None
) -> AsyncGenerator[Entries, None]:
    """Yield the messages of the log with a sequence above ``after``, for ever, in order, each once.

    Of another ``stream``, those of one ``subject``: there the numbers have gaps, and may begin anew.
    """
    pause = 0.0
    while True:
        try:
            feed = await _open(address, after, stream, subject)
        except (OSError, TimeoutError) as cause:
            pause = min(_LONGEST_PAUSE_S, 2 * pause or 0.02)
            _log.debug("cannot read the log at %s: %s", address.url, cause or type(cause).__name__)
            await asyncio.sleep(pause)
            continue
        pause = 0.0
        try:
            while (entries := await feed.take(_PATIENCE_S)) is not None:
                last = entries.sequence[-1]
                if subject is None and last - after != len(entries):
                    gone = last - after - len(entries)
                    _log.warning(
                        "%d messages between %d and %d are not in the log any more", gone, after, last
                    )
                after = last
                yield entries
        finally:
            feed.end("the reader has gone")
        _log.info("reading the log goes on after %d: %s", after, feed.ended)


async def _open(address: Address, after: int, stream: str, subject: str | None) -> Feed:
    """Have the server send what comes after the position."""
    feed = await log_in(address, "nervure reader")
    try:
        last = (await ends(feed, stream))[1]
        if subject is None:
            _require_reached(address, after, last)
        elif after > last:  # the stream was made anew
            after = 0
        name = f"nervure-{secrets.token_hex(8)}"
        inbox = f"_INBOX.{name}"
        feed.write(f"SUB {inbox} 1\r\n".encode())
        consumer = {
            "name": name,
            "deliver_subject": inbox,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": after + 1,
            "ack_policy": "none",
            "max_deliver": 1,
            "flow_control": True,
            "idle_heartbeat": int(_HEARTBEAT_S * 1e9),
            "inactive_threshold": int(_PATIENCE_S * 1e9),
            "mem_storage": True,
            "num_replicas": 1,
        } | ({} if subject is None else {"filter_subject": subject})
        place = f"{stream}.{name}" if subject is None else f"{stream}.{name}.{subject}"
        await ask(feed, f"CONSUMER.CREATE.{place}", {"stream_name": stream, "config": consumer})
    except BaseException:
        feed.end("the reader could not begin")
        raise
    return feed


def _require_reached(address: Address, after: int, last: int) -> None:
    """Refuse a position that the log has not reached: the numbers in between would be given out again."""
    if after > last:
        raise StreamError(
            f"the log ends at {last}, before the position {after} that was read already",
            where=address.url,
            hint="the log was lost or put back from an older copy; Log.reach moves its end past the position",
        )
