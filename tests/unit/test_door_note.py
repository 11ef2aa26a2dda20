"""What is refused at the door is written down, and however much it is, all of it is counted."""

from __future__ import annotations

import asyncio
from pathlib import Path

from nervure.node.door import Door
from nervure.trust.nkey import AccountKey
from tests.house import House


def _question(key: AccountKey, number: int) -> bytes:
    """What the server asks of somebody it does not know; who asks is known by where, not by the key."""
    client = {"id": number, "host": "10.0.0.9", "type": "mqtt", "mqtt_id": f"c{number}"}
    asked = {
        "server_id": {"id": "S"},
        "user_nkey": "U",
        "client_info": client,
        "connect_opts": {"user": f"made up {number}", "pass": "x"},
    }
    return key.sign({"nats": asked}).encode()


def test_of_very_many_who_are_refused_all_are_counted(tmp_path: Path) -> None:
    house, key = House(tmp_path), AccountKey()
    door = Door(house.register, house.catalogue, key, 100.0)

    async def run() -> None:
        for number in range(1_000):
            door._asked(b"reply", _question(key, number))
        await door._write()

    asyncio.run(run())
    found = [one for one in house.catalogue.audits(5_000) if one.what == "security.sign-in"]
    house.close()
    assert door.figures()["refused"] == 1_000
    assert sum(int(one.detail["times"]) for one in found) == 1_000
    assert len(found) <= 201
