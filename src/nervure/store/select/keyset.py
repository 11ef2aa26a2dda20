"""Keysets: where a page ends, written so that the next one begins right behind it.

A page that is asked for by its place (``$skip``) costs more the further it lies, and shifts when a
row comes or goes meanwhile. One that is asked for by the sort keys of the row before does neither.
Nulls are last in rising order and first in falling order, in every database alike.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.sql import operators

from nervure.core.error import QueryError
from nervure.core.sensorthings import Kind
from nervure.store.language.option import Options
from nervure.store.language.tree import paths
from nervure.store.select.condition import ordering
from nervure.store.select.source import Source

__all__ = ["Key", "beyond", "following", "keys", "read_token"]

_CONSTANT = (sa.BindParameter, sa.sql.elements.Null)
_MODIFIERS = {operators.asc_op, operators.desc_op, operators.nulls_first_op, operators.nulls_last_op}


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """An expression that rows are sorted by, under a label of its own; ``exact`` is never null."""

    expression: Any
    label: str
    descending: bool = False
    exact: bool = False

    @property
    def column(self) -> sa.Label[Any]:
        """The expression as a column of the answer."""
        labelled: sa.Label[Any] = self.expression.label(self.label)
        return labelled

    @property
    def sort(self) -> sa.ColumnElement[Any]:
        """What to sort by."""
        expression: sa.ColumnElement[Any] = self.expression
        found: sa.ColumnElement[Any] = sa.desc(expression) if self.descending else sa.asc(expression)
        if self.exact:
            return found
        placed: sa.ColumnElement[Any] = sa.nulls_first(found) if self.descending else sa.nulls_last(found)
        return placed


def keys(options: Options, kind: Kind, source: Source, table: sa.FromClause) -> tuple[Key, ...]:
    """Return what rows are sorted by: as the options say, and at last by the id.

    The id follows the direction of the last key, so that a sort by time can use the order on disk.
    """
    found: list[Key] = []
    for order in options.order:
        for element in ordering(order, kind, source, table):
            expression, descending = _bare(element)
            if isinstance(expression, _CONSTANT) or not paths(order.expression):
                continue  # no row differs in it, and databases take it for something else
            if isinstance(expression.type, sa.DateTime):
                expression = sa.func.epoch_us(expression, type_=sa.BigInteger)
            found.append(Key(expression=expression, label=f"k{len(found)}", descending=descending))
    descending = bool(found) and found[-1].descending
    return (*found, Key(expression=table.c.id, label=f"k{len(found)}", descending=descending, exact=True))


def _bare(element: Any) -> tuple[Any, bool]:
    """Take ``ASC``, ``DESC`` and ``NULLS …`` off an expression."""
    descending = False
    while isinstance(element, sa.UnaryExpression) and element.modifier in _MODIFIERS:
        descending = descending or element.modifier is operators.desc_op
        element = element.element
    return element, descending


def beyond(keys: Sequence[Key], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Return the condition under which a row comes after the one with these keys."""
    ways: list[sa.ColumnElement[bool]] = []
    equal: list[sa.ColumnElement[bool]] = []
    for key, value in zip(keys, values, strict=True):
        if (after := _after(key, value)) is not None:
            ways.append(sa.and_(*equal, after))
        equal.append(key.expression.is_(None) if value is None else key.expression == sa.literal(value))
    return sa.or_(sa.false(), *ways)


def _after(key: Key, value: Any) -> sa.ColumnElement[bool] | None:
    expression: sa.ColumnElement[Any] = key.expression
    if value is None:
        return expression.is_not(None) if key.descending else None
    if key.descending:
        return expression < sa.literal(value)
    larger = expression > sa.literal(value)
    return larger if key.exact else sa.or_(larger, expression.is_(None))


def following(keys: Sequence[Key], last: Mapping[str, Any], options: Options, limit: int) -> tuple[str, str]:
    """Return the option that asks for the page after the row ``last``; by place if its keys are no JSON."""
    values = [last[key.label] for key in keys]
    if all(one is None or type(one) in {int, float, str, bool} for one in values):
        text = msgspec.json.encode([_mark(options), *values])
        return "$skiptoken", urlsafe_b64encode(text).decode().rstrip("=")
    return "$skip", str(options.skip + limit)


def read_token(keys: Sequence[Key], options: Options) -> list[Any]:
    """Return the keys of the row that the token of the options names; :func:`following` wrote it."""
    token = options.token or ""
    try:
        text = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        mark, *values = msgspec.json.decode(text, type=list[int | float | str | bool | None])
    except (ValueError, msgspec.DecodeError, binascii.Error) as cause:
        raise _foreign(token) from cause
    if mark != _mark(options) or len(values) != len(keys) or not _whole(values[-1]):
        raise _foreign(token)
    return values


def _whole(value: Any) -> bool:
    return type(value) is int and abs(value) < 1 << 63


def _mark(options: Options) -> int:
    """Return a number that tells one order from another."""
    return binascii.crc32(msgspec.json.encode(options.order))


def _foreign(token: str) -> QueryError:
    return QueryError(
        f"$skiptoken {token!r} is not one of this query", hint="follow @iot.nextLink as it stands"
    )
