"""``nervure watch --project``: the Things of a running node under watch, each by a monitor of its own."""

from __future__ import annotations

import contextlib
import queue
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from nervure.cli.output import say, write_line
from nervure.core.error import DataError, NervureError, UsageError

if TYPE_CHECKING:
    from nervure.cli.feed import Source
    from nervure.cli.post import Post, Wish
    from nervure.core.settings import Settings
    from nervure.score.sentinel import Verdict

__all__ = ["Live", "keep_watch"]

_TICK_S = 0.2
_SAVE_S = 30.0
_TOPIC = "v1.1/+/Observations"


@dataclass(frozen=True, kw_only=True)
class Live:
    """How to watch a running node."""

    once: Annotated[
        bool,
        Parameter(negative=(), help="With --project: judge what came after what was learnt, then end."),
    ] = False
    refit: Annotated[
        bool,
        Parameter(
            negative=(), help="With --project: fit anew, instead of going on where the last run ended."
        ),
    ] = False
    seconds: Annotated[float | None, Parameter(help="With --project: stop after so many seconds.")] = None
    count: Annotated[int | None, Parameter(help="With --project: stop after so many alarms.")] = None


class _Teller:
    """Prints alarms as they ring and as they end; ``left`` says how many more are wanted."""

    def __init__(self, count: int | None, *, json: bool) -> None:
        self.rang, self._count, self._json = 0, count, json

    @property
    def enough(self) -> bool:
        """Whether as many alarms rang as were asked for."""
        return self._count is not None and self.rang >= self._count

    def tell(self, verdicts: list[Verdict]) -> bool:
        """Print what verdicts bring, and tell whether that was anything."""
        told = False
        for one in verdicts:
            for event, alarm in (("cleared", one.cleared), ("raised", one.raised)):
                if alarm is None or self.enough:
                    continue
                told = True
                self.rang += event == "raised"
                if self._json:
                    write_line({"event": event, "alarm": alarm})
                elif event == "raised":
                    say(f"{alarm.raised}  {alarm.says} {alarm.do[0].upper()}{alarm.do[1:]}.")
                else:
                    say(f"{alarm.end}  {alarm.streams[0].stream} of {alarm.thing} is as usual again.")
        return told


def keep_watch(settings: Settings, project: str, wish: Wish, live: Live, *, json: bool) -> int:
    """Watch a project until Ctrl+C or as long as was asked for; 1 if it looked once and found alarms."""
    from nervure.cli.feed import met, sources
    from nervure.cli.listen import subscribe

    if live.once and (live.seconds is not None or live.count is not None):
        raise UsageError("--once ends by itself", hint="leave out --seconds and --count")
    settings = met(settings)
    found, teller = sources(settings, project), _Teller(live.count, json=json)
    if live.once:
        for post in _posts(settings, project, found, (wish, live.refit), teller):
            post.save()
        return 1 if teller.rang else 0
    seen: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
    client = subscribe(settings, [_TOPIC], seen)  # before history is read, so that nothing falls in between
    with _terminated():
        posts: list[Post] = []
        try:
            posts = _posts(settings, project, found, (wish, live.refit), teller)
            _note(f"watching {len(posts)} of {len(found)} Things of {project}; stop with Ctrl+C")
            end = None if live.seconds is None else time.monotonic() + live.seconds
            _listen(posts, client, seen, teller, end)
        finally:
            client.disconnect()
            client.loop_stop()
            for post in posts:
                post.save()
    return 0


def _note(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


@contextlib.contextmanager
def _terminated() -> Iterator[None]:
    """Let SIGTERM end the watch as Ctrl+C does, with what was learnt written down."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before: Any = signal.SIG_DFL
    with contextlib.suppress(ValueError):  # only the main thread may
        before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGTERM, before)


def _posts(
    settings: Settings, project: str, found: list[Source], how: tuple[Wish, bool], teller: _Teller
) -> list[Post]:
    """Put every Thing under watch; one that cannot be is told with its reason."""
    from nervure.cli.progress import progress

    posts: list[Post] = []
    reasons: list[str] = []
    with progress("watch") as shown:
        for number, source in enumerate(found):

            def tell(share: float, text: str, at: int = number) -> None:
                shown((at + share) / len(found), text)

            try:
                post, verdicts = _posted(settings, project, source, how, tell)
            except UsageError:
                raise
            except NervureError as cause:
                reasons.append(cause.what)
                _note(f"{source.name} is not watched: {cause.what}")
                continue
            _note(f"{source.name}: {post.told}")
            posts.append(post)
            if teller.tell(verdicts):
                post.save()
    if not posts:
        raise DataError(f"nothing of {project} can be watched: {reasons[0]}", hint="give it a longer history")
    return posts


def _posted(
    settings: Settings, project: str, source: Source, how: tuple[Wish, bool], tell: Any
) -> tuple[Post, list[Verdict]]:
    """Go on where the last run ended, or begin."""
    from nervure.cli.post import file_of, fitted, resumed

    wish, refit = how
    path = file_of(settings.folder, project, source)
    post = None if refit else resumed(settings, source, path, wish)
    if post is None:
        return fitted(settings, source, path, wish, tell)
    return post, post.catch_up(live=not wish.once)


def _listen(
    posts: list[Post],
    client: Any,
    seen: queue.SimpleQueue[tuple[str, bytes]],
    teller: _Teller,
    end: float | None,
) -> None:
    """Take what comes until it is enough."""
    from nervure.cli.feed import heard

    by_stream = {stream: post for post in posts for stream in post.streams}
    saved = ticked = time.monotonic()
    linked = True
    while not teller.enough and (end is None or time.monotonic() < end):
        touched: set[Post] = set()
        with contextlib.suppress(queue.Empty):
            reading = heard(*seen.get(timeout=_TICK_S))
            post = by_stream.get(reading[0]) if reading else None
            if reading and post and teller.tell(post.hear(*reading)):
                touched.add(post)
        now = time.monotonic()
        if now - ticked >= _TICK_S:
            ticked, linked = now, _linked(client, posts, teller, before=linked)
            touched |= {post for post in posts if teller.tell(post.tick())}
        if now - saved > _SAVE_S:
            touched, saved = set(posts), now
        for post in touched:
            post.save()


def _linked(client: Any, posts: list[Post], teller: _Teller, *, before: bool) -> bool:
    """Read from the node what was missed while the link to it was down; tells whether it is up."""
    if not client.is_connected():
        if before:
            _note("the link to the node is down; it is tried again")
        return False
    if not before:
        try:
            for post in posts:
                teller.tell(post.catch_up(live=True))
        except NervureError:
            return False
        _note("the link to the node is up again")
    return True
