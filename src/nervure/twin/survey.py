"""What a net's signals are: their lanes, phases and detectors, read from SUMO once a net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from nervure.core.junction import Junction
from nervure.twin.api import Actuator, Sensor
from nervure.twin.sumo import Sumo

__all__ = ["Post", "actuators", "junction_of", "loops", "sensors", "survey"]

_WAY = {"G": 1.0, "g": 0.5}  # a green that has to give way counts half
_HELD = 1 / 3  # of a lane's worth is lost, times the share of its turns that are held back


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """A signal of the net: what a controller sees of it, its lights, its detector areas and places."""

    junction: Junction
    states: tuple[str, ...]
    """The lights of each phase, in SUMO's letters."""
    lights: tuple[tuple[int, ...], ...]
    """The lights of each lane that comes in, as places in a state."""
    areas: Mapping[str, tuple[tuple[str, float], ...]]
    """Of each lane that comes in the lanes of its detector area, each with its distance from the line."""
    place: tuple[float, float] | None


def survey(sumo: Sumo, *, reach_m: float, yellow_s: float) -> tuple[Post, ...]:
    """Read every signal of the net that has more than one green phase."""
    upstream = sumo.upstream()
    links = {one: sumo.links(one) for one in sumo.signals()}
    ends = {lead[0] for lights in links.values() for light in lights for lead in light}
    found = []
    for name, lights in links.items():
        phases = sumo.phases(name)
        if len(phases) > 1:
            junction = junction_of(
                name, lights, [one.state for one in phases], [one.plan_s for one in phases], reach_m, yellow_s
            )
            found.append(
                Post(
                    junction=junction,
                    states=tuple(one.state for one in phases),
                    lights=tuple(
                        tuple(at for at, light in enumerate(lights) if any(lane == one[0] for one in light))
                        for lane in junction.lanes
                    ),
                    areas={lane: _area(sumo, lane, upstream, ends, reach_m) for lane in junction.lanes},
                    place=sumo.place(junction.lanes[0]),
                )
            )
    return tuple(found)


def junction_of(
    name: str, lights: Sequence[Sequence[tuple[str, str]]], states: list[str], plan_s: list[float],
    reach_m: float, yellow_s: float,
) -> Junction:  # fmt: skip
    """Return a signal as controllers see it; ``lights`` are the ways from lane to lane of each letter."""
    pairs = sorted({lead for light in lights for lead in light})
    lanes = tuple(sorted({one for one, _ in pairs}))
    outs = tuple(sorted({one for _, one in pairs}))
    mine = [[at for at, light in enumerate(lights) if any(lane == one for one, _ in light)] for lane in lanes]
    ways = [[[_WAY.get(state[at], 0.0) for at in some] for some in mine] for state in states]
    served = tuple(tuple(_served(turns) for turns in phase) for phase in ways)
    leads = tuple(
        tuple(((lane, out) in pairs) / sum(one == lane for one, _ in pairs) for out in outs) for lane in lanes
    )
    return Junction(
        name=name,
        lanes=lanes,
        outs=outs,
        phases=tuple(f"phase {number}" for number in range(len(states))),
        served=served,
        leads=leads,
        plan_s=tuple(plan_s),
        turns=_turns(ways),
        yellow_s=yellow_s,
        reach_m=reach_m,
    )


def _served(turns: Sequence[float]) -> float:
    """Return how far a lane has the way: who is held back stands before others only now and then."""
    return max(turns) * (1 - _HELD * sum(way == 0 for way in turns) / len(turns))


def _turns(ways: Sequence[Sequence[Sequence[float]]]) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Return the turns that do not always go when their lane does, from ``ways [phase][lane][turn]``."""
    found = []
    for lane in range(len(ways[0])):
        some = [phase[lane] for phase in ways]
        whole = tuple(int(max(one) > 0) for one in some)
        found += [(lane, tuple(int(way > 0) for way in turn)) for turn in zip(*some, strict=True)]
        found = [one for one in found if one != (lane, whole)]
    return tuple(dict.fromkeys(found))


def _area(
    sumo: Sumo, lane: str, upstream: Mapping[str, Sequence[str]], ends: set[str], reach_m: float
) -> tuple[tuple[str, float], ...]:
    """Follow a lane upstream as far as the area reaches, while one lane leads into it and no signal ends."""
    found, beyond = [(lane, 0.0)], sumo.length_m(lane)
    while beyond < reach_m:
        before = [one for one in upstream.get(lane, ()) if one not in ends]
        if len(before) != 1:
            break
        lane = before[0]
        found.append((lane, beyond))
        beyond += sumo.length_m(lane)
    return tuple(found)


def loops(sumo: Sumo, posts: Sequence[Post], every_s: float) -> str:
    """Return an induction loop where each detector area begins, as additional elements."""
    found = []
    for post in posts:
        for lane, stretches in post.areas.items():
            last, beyond = stretches[-1]
            at = max(0.1, sumo.length_m(last) - max(0.0, post.junction.reach_m - beyond))
            found.append(sumo.loop(f"{post.junction.name}/{lane}", last, at, every_s))
    return "".join(found)


def sensors(posts: Sequence[Post]) -> tuple[Sensor, ...]:
    """Return what the detectors of every signal measure."""
    found = []
    for post in posts:
        one = post.junction
        found.append(Sensor(name=one.shown, thing=one.name, signal="shown", unit="1", place=post.place))
        for lane in one.lanes:
            for what, unit in (("count", "{#}"), ("queue", "{#}"), ("wait", "s"), ("arrivals", "{#}")):
                name = one.reading(lane, what)
                found.append(Sensor(name=name, thing=one.name, signal=what, unit=unit, place=post.place))
        found += [
            Sensor(name=one.full(out), thing=one.name, signal="full", unit="1", place=post.place)
            for out in one.outs
        ]
    return tuple(found)


def actuators(posts: Sequence[Post]) -> tuple[Actuator, ...]:
    """Return the phase of every signal; its junction is what a controller has to know of it."""
    return tuple(
        Actuator(
            name=post.junction.command,
            thing=post.junction.name,
            signal="phase",
            unit="1",
            low=0.0,
            high=len(post.states) - 1.0,
            about={"junction": msgspec.to_builtins(post.junction)},
        )
        for post in posts
    )
