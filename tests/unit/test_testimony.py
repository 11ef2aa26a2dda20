"""Evidence counts only if somebody trusted signed it, as it stands, lately, and of these very values."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from nervure.act.guard import Guard
from nervure.bench.safety.station import read
from nervure.core.command import Evidence, digest
from nervure.node.loops import Loops
from nervure.store.catalogue import Catalogue
from nervure.store.scope import EVERYTHING
from nervure.store.write.writer import Writer
from nervure.trust.signature import SigningKey
from nervure.trust.testimony import doubt, sworn
from tests.acting import PUMP, SPEED, UNREAD, loop_of

S = 1_000_000_000
KEY, OTHER = SigningKey(bytes(32)), SigningKey(b"x" * 32)
FOUND = Evidence(
    of=digest({"speed": 50.0}), time_ns=1_000, kpis={"level": (2.0, 3.0), "level change": (-0.5, 0.5)},
    runs=4, twin="pipes/district", commands={"P1/pump": 50.0}, scenario={"demand": 1.1}, minutes=60.0,
    seeds=(1, 2, 3, 4),
)  # fmt: skip
ENVELOPE = {
    "kind": "envelope", "kpis": {"level": {"low": 1.5, "high": 4.0}}, "within": "10min", "least_runs": 3,
    "twin": "pipes/district", "commands": {"speed": "P1/pump"},
}  # fmt: skip
ACT = PUMP | {"interlocks": [ENVELOPE], "age": "1h"}

CHANGES: dict[str, dict[str, Any]] = {
    "of": {"of": digest({"speed": 60.0})}, "time": {"time_ns": 2_000}, "runs": {"runs": 5},
    "kpis": {"kpis": dict(FOUND.kpis) | {"level": (2.0, 3.5)}}, "twin": {"twin": "pipes/other"},
    "commands": {"commands": {"P2/pump": 50.0}}, "scenario": {"scenario": {}}, "minutes": {"minutes": 5.0},
    "seeds": {"seeds": (1,)},
}  # fmt: skip


def test_what_was_signed_is_believed_also_after_a_way_through_json() -> None:
    said = sworn(FOUND, KEY)
    assert doubt(said, [KEY.public]) == ""
    again = msgspec.json.decode(msgspec.json.encode(said), type=Evidence)
    assert doubt(again, [OTHER.public, KEY.public]) == ""
    assert doubt(FOUND, [KEY.public]) == "its what-if is not signed"
    assert "is not trusted" in doubt(said, [OTHER.public])


@pytest.mark.parametrize("what", sorted(CHANGES))
def test_nothing_in_it_may_be_changed(what: str) -> None:
    wrong = replace(sworn(FOUND, KEY), **CHANGES[what])
    assert doubt(wrong, [KEY.public]) == "the what-if was changed after it was signed"


def decided(catalogue: Catalogue, writer: Writer, evidence: Evidence | None, speed: float = 50.0) -> str:
    """Return what a node says of a command with that evidence."""
    loops = Loops(catalogue, writer, UNREAD, lambda _: "", KEY.derived, lambda one: doubt(one, [KEY.public]))
    thing, loop = loop_of(writer, "pump", ACT, SPEED)
    wish: dict[str, Any] = {"model": "mpc", "lease_s": 2}
    if evidence is not None:
        wish["evidence"] = msgspec.to_builtins(evidence)
    body = {"taskingParameters": {"speed": speed}, "properties": {"act": wish}}
    task = writer.create("Task", body | {"TaskingCapability": {"@iot.id": loop}}, EVERYTHING).id
    now = time.time_ns()
    guard = Guard(read(ACT, SPEED), {"speed": 20.0}, now, key=loops.key(loop))
    with loops.turn():
        loops.heard(thing, loop, guard.report(now), now)
        loops._keep(loop, replace(loops.standing(loop), mode="auto"))
    ruling = loops.decide(task)
    assert ruling is not None
    if ruling.state != "checked":
        return ruling.detail
    order = loops.order(task, time.time_ns())
    assert order is not None
    return guard.receive(msgspec.json.encode(order), now + S).status


def test_a_command_with_signed_fresh_evidence_of_its_values_goes(
    catalogue: Catalogue, writer: Writer
) -> None:
    good = sworn(replace(FOUND, time_ns=time.time_ns()), KEY)
    assert decided(catalogue, writer, good) == "acknowledged"


@pytest.mark.parametrize(
    ("change", "key", "says"),
    [
        ({}, None, "its what-if is not signed"),
        ({"wrong": ""}, OTHER, "is signed with key"),
        ({"time_ns": 1}, KEY, "old; 10min is allowed"),
        ({"of": digest({"speed": 60.0})}, KEY, "of other values"),
        ({"commands": {"P2/pump": 50.0}}, KEY, "set other actuators"),
        ({"commands": {"P1/pump": 50.0, "P2/pump": 0.0}}, KEY, "set other actuators"),
        ({"twin": "pipes/elsewhere"}, KEY, "is of pipes/elsewhere, not of pipes/district"),
        ({"runs": 2}, KEY, "has 2 runs; 3 are needed"),
        ({"kpis": {"level": (1.0, 3.0)}}, KEY, "level comes to 1 to 3, not 1.5 to 4"),
    ],
)
def test_any_other_evidence_is_refused(
    catalogue: Catalogue, writer: Writer, change: dict[str, Any], key: SigningKey | None, says: str
) -> None:
    found = replace(FOUND, **({"time_ns": time.time_ns()} | change))
    assert says in decided(catalogue, writer, found if key is None else sworn(found, key))


def test_what_was_changed_after_it_was_signed_is_refused(catalogue: Catalogue, writer: Writer) -> None:
    good = sworn(replace(FOUND, time_ns=time.time_ns(), kpis={"level": (0.0, 9.0)}), KEY)
    assert "changed after it was signed" in decided(
        catalogue, writer, replace(good, kpis={"level": (2.0, 3.0)})
    )
    assert "it needs a what-if" in decided(catalogue, writer, None)
