"""``nervure watch --project``: the Things of a running node get monitors, and what these ring is shown."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from nervure.cli.output import say, write_line
from nervure.core.alert import MONITOR, Severity
from nervure.core.error import DataError, NervureError, NotFoundError, UsageError
from nervure.core.instant import to_ns

if TYPE_CHECKING:
    from nervure.cli.feed import Source
    from nervure.cli.post import Wish
    from nervure.core.guard import Told
    from nervure.core.settings import Settings

__all__ = ["Live", "keep_watch"]

_LOOK_S = 0.5
_AGAIN_S = 15.0
_LONGEST_S = 3_600.0
_TAKEN_UP_S = 120.0
_SHOWN = 1_000
_ALERTS = f"/api/alerts?solution={MONITOR}&limit="


@dataclass(frozen=True, kw_only=True)
class Live:
    """How to watch a running node."""

    once: Annotated[
        bool,
        Parameter(
            negative=(),
            help="With --project: show the alarms that nobody has acknowledged yet, then end.",
        ),
    ] = False
    refit: Annotated[
        bool,
        Parameter(negative=(), help="With --project: fit anew, also what is watched already."),
    ] = False
    stop: Annotated[bool, Parameter(negative=(), help="With --project: watch it no more.")] = False
    thing: Annotated[str | None, Parameter(help="With --project: only the Thing of this name.")] = None
    severity: Annotated[
        Severity | None,
        Parameter(help="With --project: how grave its alarms are; minor if left out."),
    ] = None
    seconds: Annotated[
        float | None, Parameter(help="With --project: stop showing after so many seconds.")
    ] = None
    count: Annotated[int | None, Parameter(help="With --project: stop showing after so many alarms.")] = None


class _Teller:
    """Prints alarms as they ring and as they end."""

    def __init__(self, settings: Settings, count: int | None, *, json: bool) -> None:
        self.rang, self.things = 0, set[int]()
        self._settings, self._count, self._json = settings, count, json
        self._known: dict[str, bool] = {one["id"]: one["active"] for one in self._alerts()}

    @property
    def enough(self) -> bool:
        """Whether as many alarms rang as were asked for."""
        return self._count is not None and self.rang >= self._count

    def look(self) -> None:
        """Print what has changed since the last look."""
        found = {one["id"]: one for one in self._alerts()}
        open_ = [key for key, active in self._known.items() if active and key not in found]
        for one in [*(self._ask(f"/api/alerts/{key}") for key in open_), *found.values()]:
            before = self._known.get(one["id"])
            self._known[one["id"]] = one["active"]
            if one["thing"] not in self.things:
                continue
            if before is None and not self.enough:
                self.rang += 1
                self._say("raised", one)
            if before is not False and not one["active"]:
                self._say("cleared", one)

    def unseen(self) -> int:
        """Print the alarms that nobody has acknowledged, and return how many they are."""
        found = [one for one in self._alerts() if one["thing"] in self.things and not one["acknowledged"]]
        for one in found:
            self._say("raised" if one["active"] else "cleared", one)
        return len(found)

    def told(self, thing: int) -> list[Told]:
        """Return what people have said of the alarms of a Thing."""
        from nervure.core.guard import Told

        every = self._ask(f"{_ALERTS}10000&thing={thing}")
        mine = [one for one in every if "verdict" in one["properties"]]
        return [
            Told(
                start_ns=_instant(one["start"]), end_ns=_instant(one["end"] or one["raised"]),
                verdict=one["properties"]["verdict"]["verdict"],
            )
            for one in mine
        ]  # fmt: skip

    def _alerts(self) -> list[dict[str, Any]]:
        """Return the newest alerts, oldest first."""
        found: list[dict[str, Any]] = self._ask(f"{_ALERTS}{_SHOWN}")
        return found[::-1]

    def _ask(self, path: str) -> Any:
        from nervure.cli.status import ask

        return ask(self._settings, path, 60.0)

    def _say(self, event: str, alert: dict[str, Any]) -> None:
        if self._json:
            write_line({"event": event, "alert": alert})
        elif event == "raised":
            say(f"{alert['raised']}  {alert['id']}  {alert['text']}")
        else:
            first = alert["properties"]["streams"][0]["stream"]
            say(
                f"{alert['end']}  {alert['id']}  {first} of {alert['properties']['thing']} is as usual again."
            )


class _Wards:
    """The Things of a project and their monitors; those that cannot be fitted yet are tried again."""

    def __init__(self, settings: Settings, wish: Wish, teller: _Teller) -> None:
        self.watched: set[int] = set()
        self.reasons: dict[int, str] = {}
        self._settings, self._wish, self._teller = settings, wish, teller
        self._next: dict[int, tuple[float, float]] = {}
        self._ended = set[int]()

    def look(self, found: list[Source], *, refit: bool = False) -> None:
        """Fit a monitor to every Thing that has none which is right for it."""
        from nervure.cli.post import fits
        from nervure.cli.progress import progress
        from nervure.cli.status import ask

        views = {one["thing"]: one for one in ask(self._settings, "/api/monitors", 60.0)}
        todo: list[Source] = []
        for source in found:
            view, known = None if refit else views.get(source.id), source.id in self.watched
            if known and view is None and not refit:  # somebody has ended it, and means it
                _note(f"{source.name} is not watched any more")
                self._ended.add(source.id)
                self.watched.discard(source.id)
            elif view is not None and fits(view, source, None if known else self._wish):
                if not known:
                    _note(f"{source.name}: watched since {view['fitted']}: {view['about']['says']}")
                self.watched.add(source.id)
            elif source.id not in self._ended and self._next.get(source.id, (0.0,))[0] <= time.monotonic():
                todo.append(source)
        if not todo:
            return
        with progress("watch") as shown:
            for number, source in enumerate(todo):

                def tell(share: float, text: str, at: int = number) -> None:
                    shown((at + share) / len(todo), text)

                self._fit(source, tell)

    def _fit(self, source: Source, tell: Any) -> None:
        """Fit one; one that cannot be is told with its reason, once."""
        from nervure.cli.post import fitted, hand_over

        try:
            posted = fitted(self._settings, source, (self._wish, self._teller.told(source.id)), tell)
        except UsageError:
            raise
        except NervureError as cause:
            if source.id not in self.reasons:
                _note(f"{source.name} is not watched: {cause.what}")
            self.reasons[source.id] = cause.what
            wait = min(2 * self._next.get(source.id, (0.0, _AGAIN_S / 2))[1], _LONGEST_S)
            self._next[source.id] = (time.monotonic() + wait, wait)
            return
        hand_over(self._settings, posted)
        self.reasons.pop(source.id, None)
        self._next.pop(source.id, None)
        self.watched.add(source.id)
        _note(f"{source.name}: {posted.about['says']}")

    def taken_up(self) -> None:
        """Wait until the node watches by these monitors, and has judged what it holds."""
        from nervure.cli.status import ask

        end = time.monotonic() + _TAKEN_UP_S
        while time.monotonic() < end:
            views = ask(self._settings, "/api/monitors", 60.0)
            if not [one for one in views if one["thing"] in self.watched and one["standing"] is None]:
                return
            time.sleep(0.1)
        raise NervureError("the node does not take the monitors up", hint="its log tells why: node.log")


def keep_watch(settings: Settings, project: str, wish: Wish, live: Live, *, json: bool) -> int:
    """Put a project under watch, and show what rings until Ctrl+C or as long as was asked for.

    The node goes on watching. Returns 1 if it looked once and there are alarms that nobody acknowledged.
    """
    from nervure.cli.feed import met, sources

    if live.once and (live.seconds is not None or live.count is not None):
        raise UsageError("--once ends by itself", hint="leave out --seconds and --count")
    settings = met(settings)
    found = _chosen(sources(settings, project), live.thing)
    if live.stop:
        return _stop(settings, found)
    teller = _Teller(settings, live.count, json=json)
    wards = _Wards(settings, wish, teller)
    teller.things = {one.id for one in found}
    wards.look(found, refit=live.refit)
    if not wards.watched and (live.once or live.refit):
        why = next(iter(wards.reasons.values()))
        raise DataError(f"nothing of {project} can be watched: {why}", hint="give it a longer history")
    wards.taken_up()
    if live.once:
        return 1 if teller.unseen() else 0
    _note(
        f"watching {len(wards.watched)} of {len(found)} Things of {project}; Ctrl+C ends this, not the watch"
    )
    _follow(settings, project, wards, teller, live)
    return 0


def _stop(settings: Settings, found: list[Source]) -> int:
    """Take the monitors of a project back."""
    from nervure.cli.post import take_back
    from nervure.cli.status import ask

    known = {one["thing"] for one in ask(settings, "/api/monitors", 60.0)}
    for source in found:
        if source.id in known:
            take_back(settings, source.id)
            _note(f"{source.name} is not watched any more")
    return 0


def _follow(settings: Settings, project: str, wards: _Wards, teller: _Teller, live: Live) -> None:
    """Show what rings, and put under watch what could not be before, until it is enough."""
    from nervure.cli.feed import sources

    end = None if live.seconds is None else time.monotonic() + live.seconds
    again, linked = time.monotonic() + _AGAIN_S, True
    while not teller.enough and (end is None or time.monotonic() < end):
        try:
            teller.look()
            if not linked:
                _note("the link to the node is up again")
            linked = True
            if time.monotonic() > again:
                found = _chosen(sources(settings, project), live.thing)
                again = time.monotonic() + _AGAIN_S
                teller.things |= {one.id for one in found}
                wards.look(found)
        except UsageError:
            raise
        except NervureError:
            if linked:
                _note("the link to the node is down; it is tried again")
            linked = False
        time.sleep(_LOOK_S)


def _chosen(found: list[Source], thing: str | None) -> list[Source]:
    """Return the Thing of a name, or all of them without one."""
    some = [one for one in found if thing in (None, one.name)]
    if not some:
        raise NotFoundError(
            f"there is no Thing {thing!r} with readings",
            hint=f"there is {', '.join(one.name for one in found[:8])}",
        )
    return some


def _note(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _instant(text: str) -> int:
    return to_ns(datetime.fromisoformat(text))
