"""A signalised junction as a controller sees it: which lanes each phase serves, and its clearance times.

It travels in the properties of an Actuator, so who decides need not know which engine, or which field
controller, is behind it.
"""

from __future__ import annotations

import msgspec

__all__ = ["Junction"]


class Junction(msgspec.Struct, frozen=True, kw_only=True):
    """One signal: lanes that come in, lanes that go out, and what its phases let through.

    ``served [phase, lane]`` is 1 where a phase gives a lane the way, less where it has to give way to
    others or some of its turns are held back, 0 where it is red. ``turns`` are those that a phase may hold
    back while others of their lane go: the place of the lane, and 1 or 0 a phase. ``leads [lane, out]`` is
    the share of a lane that goes to an outgoing lane.
    Readings about lane ``a`` of junction ``J`` are called ``J/a/count`` (vehicles within ``reach_m`` of
    the stop line), ``J/a/queue`` (those of them that stand), ``J/a/wait`` (seconds the longest of them has
    waited), ``J/a/arrivals`` (new ones since the last reading), and ``J/out/b/full`` (which share of an
    outgoing lane is taken by vehicles that stand). ``J/signal/shown`` is the
    phase that is on. The command is ``J/phase``.
    """

    name: str
    lanes: tuple[str, ...]
    outs: tuple[str, ...]
    phases: tuple[str, ...]
    served: tuple[tuple[float, ...], ...]
    leads: tuple[tuple[float, ...], ...]
    plan_s: tuple[float, ...]
    """How long the plan in force without commands shows each phase."""
    turns: tuple[tuple[int, tuple[int, ...]], ...] = ()
    yellow_s: float = 3.0
    min_green_s: float = 5.0
    max_red_s: float = 120.0
    reach_m: float = 80.0

    @property
    def command(self) -> str:
        """The name of its actuator."""
        return f"{self.name}/phase"

    @property
    def shown(self) -> str:
        """The name of the reading that says which phase is on, or coming after clearance."""
        return f"{self.name}/signal/shown"

    @property
    def needed(self) -> tuple[int, ...]:
        """The phases without which somebody would have no way: who shows these in turn forgets nobody.

        One is left out if others that stay give all of its lanes at least as much of the way, and all of
        its turns. A lane that has to give way in the others is not taken for served by them.

        >>> both = Junction(name="J", lanes=("a", "b", "c"), outs=(), phases=("ab", "a", "c"), leads=(),
        ...                 served=((1.0, 1.0, 0.0), (0.8, 0.0, 0.0), (0.0, 0.0, 1.0)), plan_s=(9, 9, 9))
        >>> both.needed
        (0, 2)
        """
        ways = [(*lanes, *(float(go[at]) for _, go in self.turns)) for at, lanes in enumerate(self.served)]
        kept = list(range(len(ways)))
        for at in sorted(kept, key=lambda one: (sum(ways[one]), -one)):  # of equals the first stays
            others = [ways[one] for one in kept if one != at]
            if others and all(mine <= max(theirs) for mine, *theirs in zip(ways[at], *others, strict=True)):
                kept.remove(at)
        return tuple(kept)

    def reading(self, lane: str, what: str) -> str:
        """Return the name of a reading about a lane that comes in."""
        return f"{self.name}/{lane}/{what}"

    def full(self, out: str) -> str:
        """Return the name of the reading that says how full a lane that goes out is."""
        return f"{self.name}/out/{out}/full"
