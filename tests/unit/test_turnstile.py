"""The turnstile counts what came since it looked last, and looks again when that breaks off."""

from __future__ import annotations

import asyncio

import msgspec

from nervure.node.crowd import Crowd, Inside
from nervure.node.turnstile import Turnstile
from nervure.stream.api import Address
from nervure.trust.admission import Rights, Visitor
from nervure.trust.pace import Pace
from nervure.trust.principal import Principal

NOWHERE = Address(host="127.0.0.1", port=1)


def _device(connection: int) -> Inside:
    return Inside(
        visitor=Visitor(connection=connection, name="d", shown="", address="10.0.0.1", client="d"),
        principal=Principal(kind="device", id=7, name="d", role="device", streams=frozenset({1})),
        rights=Rights(publish=(), hear=()),
    )


def _answer(**messages: int) -> bytes:
    connections = [{"cid": int(cid[1:]), "in_msgs": count} for cid, count in messages.items()]
    return msgspec.json.encode({"data": {"connections": connections}})


def test_what_a_device_sent_before_the_door_was_attended_anew_is_no_flood() -> None:
    crowd = Crowd()
    crowd.add(_device(5))
    now_s = [0.0]
    turnstile = Turnstile(Pace(100.0, lambda: now_s[0]), crowd)
    turnstile.start(NOWHERE, "server")
    try:
        for count in range(40, 1_001, 40):
            now_s[0] += 1.0
            assert turnstile._count(_answer(_5=count)) == []
        turnstile.stop()
        turnstile.start(NOWHERE, "server")
        assert turnstile._count(_answer(_5=1_010)) == []
        assert turnstile._count(_answer(_5=1_100)) == [5], "as it does now"
    finally:
        turnstile.stop()


def test_it_looks_again_when_its_connection_breaks() -> None:
    async def run() -> None:
        came = asyncio.Queue[None]()

        async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            came.put_nowait(None)
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        turnstile = Turnstile(Pace(100.0), Crowd())
        async with server:
            turnstile.start(Address(host="127.0.0.1", port=server.sockets[0].getsockname()[1]), "server")
            try:
                for _ in range(3):
                    await asyncio.wait_for(came.get(), 60.0)
            finally:
                turnstile.stop()

    asyncio.run(run())
