"""Bounds: the span of time that a condition on Observations confines them to."""

from __future__ import annotations

import msgspec

from nervure.store.language.tree import Binary, Expression, Instant, Junction, Literal, Path

__all__ = ["ALL_TIME", "Span", "bound"]

_FAR = 1 << 62


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A span of time in nanoseconds, ``start <= time < end``."""

    start: int
    end: int

    @property
    def empty(self) -> bool:
        """Whether nothing lies in it."""
        return self.end <= self.start

    @property
    def length(self) -> int:
        """How long it is."""
        return max(0, self.end - self.start)

    @property
    def microseconds(self) -> tuple[int, int]:
        """Start and end in microseconds; an end inside one includes it.

        >>> Span(start=1_500, end=2_500).microseconds
        (2, 3)
        """
        return -(-self.start // 1000), -(-self.end // 1000)

    def cut(self, other: Span) -> Span:
        """Return what both have."""
        return Span(start=max(self.start, other.start), end=min(self.end, other.end))

    def covers(self, other: Span) -> bool:
        """Return whether all of the other lies in it."""
        return self.start <= other.start and other.end <= self.end

    def end_of(self, width: int, *, falling: bool) -> Span:
        """Return the newest part of a width, or the oldest one.

        >>> Span(start=0, end=100).end_of(10, falling=True)
        Span(start=90, end=100)
        """
        if falling:
            return Span(start=max(self.start, self.end - width), end=self.end)
        return Span(start=self.start, end=min(self.end, self.start + width))

    def after(self, microsecond: int, *, falling: bool) -> Span:
        """Return what lies from an instant on, or up to it, the instant included."""
        if falling:
            return self.cut(Span(start=-_FAR, end=(microsecond + 1) * 1000))
        return self.cut(Span(start=microsecond * 1000, end=_FAR))


ALL_TIME = Span(start=-_FAR, end=_FAR)

_MIRRORED = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge", "eq": "eq"}
_SLACK_NS = 1000


def bound(expression: Expression | None) -> Span:
    """Return a span in which ``phenomenonTime`` begins wherever the condition holds; it may be too large.

    >>> at = Literal(value=Instant(ns=5_000))
    >>> bound(Binary(operator="lt", left=Path(steps=("phenomenonTime",)), right=at)).end
    6000
    """
    match expression:
        case Junction(operator="and", parts=parts):
            found = ALL_TIME
            for part in parts:
                found = found.cut(bound(part))
            return found
        case Binary(
            operator=operator, left=Path(steps=("phenomenonTime",)), right=Literal(value=Instant(ns=ns))
        ):
            return _beside(operator, ns)
        case Binary(
            operator=operator, left=Literal(value=Instant(ns=ns)), right=Path(steps=("phenomenonTime",))
        ):
            return _beside(_MIRRORED.get(operator, ""), ns)
    return ALL_TIME


def _beside(operator: str, ns: int) -> Span:
    ns = min(max(ns, -_FAR), _FAR)
    start, end = ns - _SLACK_NS, ns + _SLACK_NS
    match operator:
        case "gt" | "ge":
            return Span(start=start, end=_FAR)
        case "lt" | "le":
            return Span(start=-_FAR, end=end)
        case "eq":
            return Span(start=start, end=end)
    return ALL_TIME
