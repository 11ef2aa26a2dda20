"""Rings when a loop needs somebody: it tripped, waits for a yes, its guard is away or does not as it is told.

Alerts go the way of all alerts: into the catalogue with their news, in the transaction of what shows them,
and from there to pages, MQTT, a webhook, mail. What is over is cleared the same way; after a restart
the catalogue says what is still open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from msgspec.structs import replace

from nervure.core.alert import Alert, Severity, alert_id
from nervure.core.command import Trip
from nervure.store.catalogue import Catalogue

__all__ = ["ACT", "AWAY_S", "Bell"]

ACT = "act"
"""The ``solution`` of alerts about loops."""

AWAY_S = 15.0
"""So long nothing is heard of a guard before somebody is told: a reconnection takes less."""

Why = Literal["trip", "away", "unfit", "drift", "rests", "waiting"]

_SEVERITY: Mapping[Why, Severity] = {
    "trip": "major", "away": "minor", "unfit": "minor", "drift": "warning", "rests": "warning",
    "waiting": "warning",
}  # fmt: skip
_MOST = 10_000
_LONGEST = 2000
_MARK = "mark"


class Bell:
    """Keeps what is open for each loop; called within the transaction of a turn, one at a time.

    ``about`` returns the Thing and the name of a capability.
    """

    def __init__(self, catalogue: Catalogue, about: Callable[[int], tuple[int, str]]) -> None:
        self._catalogue, self._about = catalogue, about
        self._open: dict[tuple[int, Why], dict[str, Alert]] | None = None

    def forget(self) -> None:
        """Look again at what is open: a transaction was not kept."""
        self._open = None

    def trips(self, loop: int, latched: Iterable[Trip], now_ns: int) -> None:
        """Ring for every latched trip; one that a person has reset is over."""
        self._ring(
            loop, "trip", now_ns,
            {
                f"{one.rule} {one.time_ns}": (
                    f"{{name}} has tripped: {one.rule}: {one.why}. It is on its local plan, and no model "
                    f"commands it until somebody has seen to it: nervure act trip reset {loop}"
                )
                for one in latched
            },
        )  # fmt: skip

    def away(self, loop: int, since_ns: int | None, now_ns: int) -> None:
        """Ring for a guard of which nothing is heard since an instant; None: it is there."""
        text = (
            "Nothing is heard of the guard of {name}. It follows its local plan by itself as long as it "
            "stands; commands wait and expire. Look at its power, its network, its credentials."
        )
        self._ring(loop, "away", now_ns, {} if since_ns is None else {str(since_ns): text})

    def unfit(self, loop: int, why: str, now_ns: int) -> None:
        """Ring for a guard that refuses whatever it is told, and say why; without a reason it is over."""
        self._ring(loop, "unfit", now_ns, {why: f"{{name}} cannot be commanded: {why}"} if why else {})

    def drift(self, loop: int, found: Mapping[str, str], now_ns: int) -> None:
        """Ring for models that a loop rests on and that drift, with what is said of each."""
        text = "{name} rests on a model that drifts: "
        self._ring(loop, "drift", now_ns, {model: text + why for model, why in found.items()})

    def rests(self, loop: int, unknown: Mapping[str, str], now_ns: int) -> None:
        """Ring for names that a declaration rests on and that nothing has, with what there is."""
        text = "{name} rests on %r, and nothing here is called so: nobody sees whether it drifts. %s"
        self._ring(loop, "rests", now_ns, {name: text % (name, hint) for name, hint in unknown.items()})

    def waiting(self, loop: int, *, waits: bool, now_ns: int) -> None:
        """Ring for as long as anything that is wanted of a loop waits for somebody to say yes."""
        text = (
            "{name} waits for somebody to say yes or no: nervure act waiting, then nervure act approve or "
            "refuse TASK --as NAME, or the console's screen Act."
        )
        self._ring(loop, "waiting", now_ns, {"approval": text} if waits else {})

    def gone(self, there: Iterable[int], now_ns: int) -> None:
        """Ring no more for loops that are not there any longer."""
        kept = set(there)
        for loop, why in [key for key in self._known() if key[0] not in kept]:
            self._ring(loop, why, now_ns, {})

    def rings(self, loop: int, why: Why) -> bool:
        """Tell whether it rings for something of a loop."""
        return bool(self._known().get((loop, why)))

    @property
    def loops(self) -> set[int]:
        """The loops for which it rings."""
        return {loop for (loop, _), found in list(self._known().items()) if found}

    def _ring(self, loop: int, why: Why, now_ns: int, wanted: Mapping[str, str]) -> None:
        """Raise what is wanted and not open, clear what is open and not wanted; ``wanted`` is by its mark."""
        known = self._known().get((loop, why), {})
        if wanted.keys() == known.keys():
            return
        over = [
            replace(one, active=False, end_ns=now_ns) for mark, one in known.items() if mark not in wanted
        ]
        fresh = [mark for mark in wanted if mark not in known]
        thing, name = self._about(loop) if fresh else (0, "")
        new = {
            mark: Alert(
                id=alert_id(f"{ACT}.{why}.{loop}.{mark}", 0, now_ns), solution=ACT, rule=why,
                severity=_SEVERITY[why], thing=thing, datastream=0,
                text=wanted[mark].replace("{name}", name, 1)[:_LONGEST], start_ns=now_ns, raised_ns=now_ns,
                properties={"loop": loop, _MARK: mark},
            )
            for mark in fresh
        }  # fmt: skip
        self._catalogue.announce([*over, *new.values()])
        self._known()[loop, why] = {mark: one for mark, one in known.items() if mark in wanted} | new

    def _known(self) -> dict[tuple[int, Why], dict[str, Alert]]:
        if self._open is None:
            found: dict[tuple[int, Why], dict[str, Alert]] = {}
            for one in self._catalogue.alerts(active=True, solution=ACT, limit=_MOST):
                loop, mark = one.properties.get("loop"), one.properties.get(_MARK)
                for why in _SEVERITY:
                    if why == one.rule and isinstance(loop, int) and isinstance(mark, str):
                        found.setdefault((loop, why), {})[mark] = one
            self._open = found
        return self._open
