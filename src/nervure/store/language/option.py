"""Query options of SensorThings 1.1 (18-088, section 9.3), read, checked and bounded."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

import msgspec

from nervure.core.error import QueryError, UnsupportedQuery
from nervure.core.sensorthings import BY_NAME, Kind
from nervure.store.language.build import read_path
from nervure.store.language.parse import parse_filter
from nervure.store.language.tree import Expression, Path
from nervure.store.language.way import OPEN, validate

__all__ = ["DEFAULT_LIMITS", "Expand", "Options", "Order", "QueryLimits", "parse_options"]


class QueryLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How large a query may be: characters, parts and depth of an expression, expansions, sort keys."""

    characters: int = 16_384
    nodes: int = 500
    depth: int = 16
    expand_depth: int = 8
    expands: int = 40
    orders: int = 10
    largest: int = 1_000_000_000
    """The greatest ``$top`` and ``$skip`` that can be read."""


DEFAULT_LIMITS = QueryLimits()


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A key of ``$orderby``."""

    expression: Expression
    descending: bool = False


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a collection or an entity is asked for; None: the client said nothing about it.

    ``select`` holds names of properties and relations of the kind, and ``id`` or ``selfLink`` (written
    without ``@iot.``); a path into a JSON property is written as the client wrote it.
    """

    filter: Expression | None = None
    order: tuple[Order, ...] = ()
    select: tuple[str, ...] | None = None
    expand: tuple[Expand, ...] = ()
    top: int | None = None
    skip: int = 0
    count: bool | None = None
    result_format: str | None = None
    token: str | None = None


class Expand(msgspec.Struct, frozen=True, kw_only=True):
    """A relation that is written out into the entity, and what is asked of its entities."""

    relation: str
    options: Options


_INNER = ("$filter", "$orderby", "$select", "$expand", "$top", "$skip", "$count")
_OUTER = (*_INNER, "$resultFormat", "$skiptoken")
_NAMES = {name.lower(): name for name in _OUTER}
_ELSEWHERE = {
    "$search", "$apply", "$compute", "$format", "$levels", "$index", "$schemaversion", "$deltatoken",
    "$metadata", "$debug",
}  # fmt: skip
"""Options of OData that SensorThings leaves out."""
_DIRECTION = re.compile(r"(.*[\s)\]'])(asc|desc)\s*", re.IGNORECASE | re.DOTALL)
_RELATIONS = re.compile(r"\s*([A-Za-z]\w*(?:/[A-Za-z$*]\w*)*|\*)\s*")


def parse_options(query: str, kind: Kind, limits: QueryLimits = DEFAULT_LIMITS) -> Options:
    """Read a query string, still percent-encoded, as asked of entities of a kind.

    Options whose name does not start with ``$`` are passed over. Raises ``QueryError`` where it is
    malformed, names what the kind does not have or is over a limit, and ``UnsupportedQuery`` for
    options of OData that SensorThings does without.

    >>> from nervure.core.sensorthings import BY_NAME
    >>> kind = BY_NAME["Datastream"]
    >>> found = parse_options("$top=2&$expand=Observations($top=1)&$orderby=name%20desc", kind)
    >>> found.top, found.expand[0].relation, found.order[0].descending
    (2, 'Observations', True)
    """
    if len(query) > 3 * limits.characters:
        raise QueryError(f"the query is longer than {3 * limits.characters} characters", hint="ask in parts")
    pairs: list[tuple[str, str]] = []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        pairs.append((_decoded(name).strip(), _decoded(value)))
    return _Reader(limits=limits, spent=[0]).options(pairs, kind, _OUTER, 0)


def _decoded(text: str) -> str:
    if "%" not in text:
        return text.replace("+", " ")
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise QueryError("the query is not percent-encoded", hint="write %25 for a percent sign")
    try:
        return unquote_to_bytes(text.replace("+", " ")).decode()
    except UnicodeDecodeError as cause:
        raise QueryError("the query is no text in UTF-8", hint="percent-encode UTF-8") from cause


class _Reader(msgspec.Struct, frozen=True, kw_only=True):
    """Reads the options of one query; ``spent`` counts its expansions."""

    limits: QueryLimits
    spent: list[int]

    def options(
        self, pairs: list[tuple[str, str]], kind: Kind, known: tuple[str, ...], depth: int
    ) -> Options:
        given: dict[str, str] = {}
        for name, value in pairs:
            if not name.startswith("$"):
                continue
            name = _NAMES.get(name.lower(), name)  # noqa: PLW2901 - any case will do (OData 4.01)
            if name not in known:
                raise _unknown(name, known)
            if name in given:
                raise QueryError(f"{name} is given twice", hint="say it once")
            given[name] = value.strip()
        return Options(
            filter=self.filter(given.get("$filter"), kind),
            order=self.order(given.get("$orderby"), kind),
            select=_select(given.get("$select"), kind),
            expand=self.expand(given.get("$expand"), kind, depth),
            top=None if "$top" not in given else self.whole(given, "$top"),
            skip=self.whole(given, "$skip"),
            count=_flag(given.get("$count")),
            result_format=_format(given.get("$resultFormat"), kind),
            token=_token(given.get("$skiptoken")),
        )

    def filter(self, text: str | None, kind: Kind) -> Expression | None:
        if text is None:
            return None
        return self.expression(text, kind, "$filter")

    def expression(self, text: str, kind: Kind, option: str) -> Expression:
        limits = self.limits
        try:
            found = parse_filter(text, nodes=limits.nodes, depth=limits.depth, characters=limits.characters)
            validate(found, kind)
        except QueryError as cause:
            raise type(cause)(f"{option}: {cause.what}", where=cause.where, hint=cause.hint) from cause
        return found

    def order(self, text: str | None, kind: Kind) -> tuple[Order, ...]:
        if text is None:
            return ()
        found: list[Order] = []
        for part in _split(text, ",", "$orderby"):
            given = _DIRECTION.fullmatch(part.strip())
            words = given[1] if given else part
            descending = given is not None and given[2].lower() == "desc"
            if not words.strip():
                raise QueryError("$orderby has an empty key", hint="write $orderby=name desc,id")
            found.append(
                Order(expression=self.expression(words.strip(), kind, "$orderby"), descending=descending)
            )
        if len(found) > self.limits.orders:
            raise QueryError(f"$orderby has more than {self.limits.orders} keys")
        return tuple(found)

    def whole(self, given: dict[str, str], name: str) -> int:
        text = given.get(name, "0")
        if not re.fullmatch(r"[0-9]{1,30}", text):
            raise QueryError(f"{name} must be a whole number from 0, not {text!r}")
        return min(int(text), self.limits.largest)

    def expand(self, text: str | None, kind: Kind, depth: int) -> tuple[Expand, ...]:
        if text is None:
            return ()
        if depth >= self.limits.expand_depth:
            raise QueryError(f"$expand is nested more than {self.limits.expand_depth} deep")
        found: dict[str, Expand] = {}
        for part in _split(text, ",", "$expand"):
            one = self.expansion(part, kind, depth)
            before = found.get(one.relation)
            found[one.relation] = one if before is None else _merged(before, one)
        return tuple(found.values())

    def expansion(self, text: str, kind: Kind, depth: int) -> Expand:
        """Read ``Datastreams/Sensor($select=name)``: the options are the last relation's."""
        head, opened, inner = text.partition("(")
        named = _RELATIONS.fullmatch(head)
        if named is None or (opened and not inner.rstrip().endswith(")")):
            raise QueryError(
                f"$expand cannot read {text.strip()!r}", hint="write $expand=Datastreams($top=5),Locations"
            )
        names = named[1].split("/")
        return self.nested(names, inner.rstrip()[:-1] if opened else "", kind, depth)

    def nested(self, names: list[str], inner: str, kind: Kind, depth: int) -> Expand:
        relation = kind.relation(names[0])
        if relation is None:
            if names[0] == "*" or names[0].startswith("$"):
                raise UnsupportedQuery(f"$expand={names[0]} is not answered", hint="name the relations")
            choices = ", ".join(one.name for one in kind.relations)
            raise QueryError(f"$expand: {kind.name} has no relation {names[0]!r}", hint=f"it has {choices}")
        self.spent[0] += 1
        if self.spent[0] > self.limits.expands or depth >= self.limits.expand_depth:
            raise QueryError(
                f"$expand is larger than {self.limits.expands} relations or nested more than "
                f"{self.limits.expand_depth} deep",
                hint="ask in several requests",
            )
        target = BY_NAME[relation.target]
        if len(names) > 1:
            further = self.nested(names[1:], inner, target, depth + 1)
            return Expand(relation=relation.name, options=Options(expand=(further,)))
        pairs = []
        for part in _split(inner, ";", "$expand") if inner.strip() else ():
            name, _, value = part.partition("=")
            if not name.strip().startswith("$"):
                raise QueryError(
                    f"$expand cannot read {part.strip()!r}", hint="write Datastreams($top=5;$skip=5)"
                )
            pairs.append((name.strip(), value))
        return Expand(relation=relation.name, options=self.options(pairs, target, _INNER, depth + 1))


def _merged(first: Expand, second: Expand) -> Expand:
    """Join two expansions of one relation: both go on from there; only one may ask for more."""
    own = [msgspec.structs.replace(one.options, expand=()) for one in (first, second)]
    if own[0] != own[1] and Options() not in own:
        raise QueryError(
            f"$expand asks twice, and differently, for {first.relation}", hint="write its options once"
        )
    further: dict[str, Expand] = {}
    for one in (*first.options.expand, *second.options.expand):
        before = further.get(one.relation)
        further[one.relation] = one if before is None else _merged(before, one)
    options = own[1] if own[0] == Options() else own[0]
    return Expand(
        relation=first.relation, options=msgspec.structs.replace(options, expand=tuple(further.values()))
    )


def _split(text: str, sign: str, option: str) -> list[str]:
    """Cut a text at a sign that stands neither in quotes nor in parentheses."""
    parts, start, depth, quoted = [], 0, 0, False
    for place, one in enumerate(text):
        if one == "'":
            quoted = not quoted
        elif quoted:
            continue
        elif one == "(":
            depth += 1
        elif one == ")":
            depth -= 1
            if depth < 0:
                raise QueryError(
                    f"{option}: a ')' too many at position {place + 1}", where=f"position {place + 1}"
                )
        elif one == sign and depth == 0:
            parts.append(text[start:place])
            start = place + 1
    if quoted or depth:
        missing = "quote" if quoted else "')'"
        raise QueryError(f"{option}: a {missing} is missing at the end, position {len(text) + 1}")
    return [*parts, text[start:]]


def _select(text: str | None, kind: Kind) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = [_selected(part.strip(), kind) for part in text.split(",")]
    return None if "*" in names else tuple(dict.fromkeys(names))


def _selected(name: str, kind: Kind) -> str:
    plain = name.removesuffix("@iot.navigationLink").removeprefix("@iot.")
    if plain in {"id", "selfLink", "*"} or kind.property(plain) or kind.relation(plain):
        return plain
    path = (
        read_path(plain)
        if re.fullmatch(r"[\w.@:$-]+(\[\d+\])*(/[\w.@:$-]+(\[\d+\])*)*", plain)
        else Path(steps=("",))
    )
    found = kind.property(str(path.steps[0]))
    if found is not None and found.form in OPEN:
        return plain
    names = [*(one.name for one in kind.properties), *(one.name for one in kind.relations)]
    choices = ", ".join(["id", "selfLink", *names])
    raise QueryError(f"$select: {kind.name} has no property {name!r}", hint=f"it has {choices}")


def _flag(text: str | None) -> bool | None:
    if text is None:
        return None
    if text.lower() not in {"true", "false"}:  # in OData's grammar the case of a word does not matter
        raise QueryError(f"$count must be true or false, not {text!r}")
    return text.lower() == "true"


def _format(text: str | None, kind: Kind) -> str | None:
    if text is None or text == "dataArray":
        if text is not None and kind.name != "Observation":
            raise QueryError(f"$resultFormat=dataArray is for Observations, not for {kind.entities}")
        return text
    raise UnsupportedQuery(f"$resultFormat={text} is not answered", hint="answered is dataArray")


def _token(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"[\w.~=-]{1,4000}", text):
        raise QueryError("$skiptoken is not one of ours", hint="follow @iot.nextLink as it stands")
    return text


def _unknown(name: str, known: tuple[str, ...]) -> QueryError:
    hint = f"known are {', '.join(known)}"
    if name in _ELSEWHERE or name in _OUTER:
        return UnsupportedQuery(f"{name} is not answered here", hint=hint)
    return QueryError(f"there is no query option {name!r}", hint=hint)
