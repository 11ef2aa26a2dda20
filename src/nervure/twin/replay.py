"""Snapshots of engines that cannot write down their own state: what was asked of them, done again.

Exact where the engine is deterministic, which EPANET, SWMM and EnergyPlus are; costs the time of the run.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from nervure.twin.api import Twin, TwinError
from nervure.twin.chance import Chancy

__all__ = ["Course", "replay"]


class Course(msgspec.Struct, kw_only=True):
    """What a twin was asked since its reset: seed, scenario, steps, and commands with the step they came at.

    A command without values gives its actuators back. ``seeds`` are those that it was given on the way.
    """

    seed: int = 0
    scenario: dict[str, float] = {}
    steps: int = 0
    asked: list[tuple[int, dict[str, float | None]]] = []
    seeds: list[tuple[int, int]] = []

    def note(self, commands: Mapping[str, float | None]) -> None:
        """Keep a command."""
        self.asked.append((self.steps, dict(commands)))

    def reseeded(self, seed: int) -> None:
        """Keep that chance goes otherwise from here on."""
        self.seeds.append((self.steps, seed))

    def pack(self) -> bytes:
        """Return it as bytes."""
        return msgspec.msgpack.encode(self)


def replay(twin: Twin, state: bytes) -> None:
    """Take a twin from its reset to where a course ended; raise TwinError for what is no course."""
    try:
        course = msgspec.msgpack.decode(state, type=Course)
    except msgspec.MsgspecError as cause:
        raise TwinError(
            f"this is no state of this twin: {cause}", hint="give what `snapshot` returned"
        ) from cause
    twin.reset(seed=course.seed, scenario=course.scenario)
    waiting, seeds = list(course.asked), list(course.seeds)
    for step in range(course.steps + 1):
        while seeds and seeds[0][0] == step:
            _reseeded(twin, seeds.pop(0)[1])
        while waiting and waiting[0][0] == step:
            _ask(twin, waiting.pop(0)[1])
        if step < course.steps:
            twin.step()


def _reseeded(twin: Twin, seed: int) -> None:
    if not isinstance(twin, Chancy):
        raise TwinError("this is a state of a twin whose chance was changed, and this one's cannot be")
    twin.reseed(seed)


def _ask(twin: Twin, commands: Mapping[str, float | None]) -> None:
    given = {name: value for name, value in commands.items() if value is not None}
    if given:
        twin.apply(given)
    back = tuple(name for name, value in commands.items() if value is None)
    if back:
        twin.release(back)
