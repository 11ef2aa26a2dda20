"""Two projects in one installation: what one asks is answered as if the other were not there.

Both hold the like, with words of their own; where the second is, nothing of it is returned, counted,
sorted by, or told in an error.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nervure.core.error import NervureError
from nervure.core.observation import NO_END, PACK_BITS, Batch
from nervure.core.sensorthings import BY_NAME, KINDS, Kind
from nervure.serve.sensorthings import SensorThings
from nervure.store.catalogue import Catalogue
from nervure.store.observations import Observations
from nervure.store.scope import EVERYTHING
from nervure.store.sql import METADATA
from tests.entities import BASE, HOUR, ONE, START, TWO, answer
from tests.filter_tree import expressions, readable
from tests.street import described

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = 40
FOREIGN = "forbidden"
"""A word in every entity of the other project."""

# --- two projects ---------------------------------------------------------------------------------------


def _stream(word: str, first: int) -> dict[str, Any]:
    return {
        "sensor_id": first, "observed_property_id": first, "unit": "m", "unit_of_measurement": _unit(word),
        "observation_type": "", "solution": "", "signal": "", "kind": "reading", "every_ns": 0,
    }  # fmt: skip


def _several(word: str) -> dict[str, Any]:
    return {
        "unit_of_measurement": None, "observed_property_id": None, "multi": True,
        "units_of_measurement": [_unit(word)], "data_types": ["x"],
    }  # fmt: skip


def _unit(word: str) -> dict[str, str]:
    return {"name": word, "symbol": "m", "definition": "ucum:m"}


def entities(project: int) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a project; those of the first have odd ids, those of the second even ones."""
    word, own = ("ours", FOREIGN)[project - 1], {"project_id": project}
    first, second = (project, project + 2)

    def named(id: int, **more: Any) -> dict[str, Any]:
        properties = {"n": id, "s": word, "even": id > 2}
        return described(id, f"{word} {id}") | {"properties": properties} | own | more

    point = {"type": "Point", "coordinates": [11.0 + project / 10, 48.0]}
    written, stream = {"encoding_type": "application/geo+json"}, _stream(word, first)
    task = {
        "creation_ns": START, "tasking_parameters": {"s": word}, "status": "requested", "run_log": [],
        "properties": {}, "tasking_capability_id": first,
    }  # fmt: skip
    return {
        "thing": [named(first), named(second, key="twin")],
        "feature_of_interest": [
            named(first, feature=point, **written),
            named(second, feature=point, **written),
        ],
        "location": [named(first, location=point, feature_id=first, **written)],
        "thing_location": [{"thing_id": one, "location_id": first} for one in (first, second)],
        "historical_location": [{"id": first, "thing_id": first, "time_ns": START, **own}],
        "historical_place": [{"historical_location_id": first, "location_id": first}],
        "sensor": [named(first, encoding_type="", metadata=word)],
        "observed_property": [named(first)],
        "datastream": [
            named(first, thing_id=first, **stream),
            named(second, thing_id=second, key="twin", **stream),
            named(project + 4, thing_id=first, **(stream | _several(word))),
        ],
        "datastream_property": [{"datastream_id": project + 4, "position": 0, "observed_property_id": first}],
        "datastream_feature": [{"datastream_id": first, "feature_id": first}],
        "actuator": [named(first, encoding_type="", metadata=word)],
        "tasking_capability": [
            named(first, tasking_parameters={"type": "DataRecord"}, thing_id=first, actuator_id=first)
        ],
        "task": [{"id": first, **task, **own}],
    }


def astray() -> dict[str, list[dict[str, Any]]]:
    """Return links from one project to the other, which nobody can make: not even they show anything."""
    return {
        "thing_location": [{"thing_id": 1, "location_id": 2}, {"thing_id": 2, "location_id": 1}],
        "datastream_feature": [{"datastream_id": 2, "feature_id": 1}],
        "historical_place": [{"historical_location_id": 1, "location_id": 2}],
    }


def readings(projects: int) -> Batch:
    """Return Observations of both projects by turns; a few results are words."""
    number = np.arange(1, ROWS + 1)
    project = (number + 1) % 2 + 1
    words = [("ours", FOREIGN)[one - 1] for one in project]
    whole = Batch.of(
        id=number << PACK_BITS,
        datastream=project + 2 * (number // 2 % 3),
        time=START + number // 2 * HOUR,
        end_time=np.full(ROWS, NO_END),
        value=np.where(number % 7 < 2, np.nan, number / 4),
        text=[f'"{word}"' if n % 7 < 2 else None for n, word in zip(number, words, strict=True)],
        feature=np.where(number % 8 == 0, 1, project + 2 * (number // 2 % 2)),  # astray, too
        extra=[f'{{"parameters":{{"s":"{word}"}}}}' for word in words],
    )
    return whole if projects == 2 else whole.take(project == 1)


@contextlib.contextmanager
def installed(folder: Path, projects: int) -> Iterator[SensorThings]:
    """Open an installation of one project or of two; half of its Observations lie in files."""
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        catalogue = Catalogue.open(folder / "catalogue.db")
        stack.callback(catalogue.close)
        with catalogue.database.write() as connection:
            for project in range(1, projects + 1):
                for name, rows in entities(project).items():
                    for row in rows:
                        given = {key: value for key, value in row.items() if key in METADATA.tables[name].c}
                        connection.execute(sa.insert(METADATA.tables[name]).values(given))
            for name, rows in astray().items() if projects == 2 else ():
                connection.execute(sa.insert(METADATA.tables[name]), rows)
        observations = Observations.open(folder / "observations")
        stack.callback(observations.close)
        batch = readings(projects)
        half = batch.id <= ROWS // 2 << PACK_BITS
        observations.append(batch.take(half), ROWS // 2)
        observations.seal()
        observations.append(batch.take(~half), ROWS)
        yield SensorThings(catalogue, observations)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SensorThings, SensorThings]]:
    """Return the installation where the first project is alone, and the one that it shares."""
    folder = tmp_path_factory.mktemp("tenants")
    with installed(folder / "alone", 1) as alone, installed(folder / "shared", 2) as shared:
        yield alone, shared


# --- questions ------------------------------------------------------------------------------------------

KEYS = st.sampled_from([*["1"] * 8, "3", "5", "'twin'", "2", "4", "6"])
READINGS = st.integers(1, 8).map(lambda n: str(n << PACK_BITS))
FILTERS = {
    "Thing": (["name", "Datastreams/name", "Locations/name"], ["properties/s", "Datastreams/properties/n"]),
    "Datastream": (["name", "Thing/name", "Sensor/name"], ["Observations/result", "Thing/properties/s"]),
    "Observation": (["Datastream/name", "FeatureOfInterest/name"], ["result", "parameters/s"]),
    "FeatureOfInterest": (["name"], ["properties/s", "Observations/result"]),
}
TIMES = {
    "Thing": ["HistoricalLocations/time"], "Datastream": ["phenomenonTime", "Observations/phenomenonTime"],
    "Observation": ["phenomenonTime", "resultTime"], "FeatureOfInterest": ["Observations/phenomenonTime"],
}  # fmt: skip
TREES = {name: expressions([*texts], [*mixed], TIMES[name]) for name, (texts, mixed) in FILTERS.items()}
PLAIN = ["id gt 1", "id ne 3", "not (id eq 1)", "id le 2"]
NAMED = [*PLAIN, f"contains(name, '{FOREIGN}')", "name ne 'x'"]
ODD = [
    "id gt 1",
    "result gt 3",
    f"result eq '{FOREIGN}'",
    f"Datastream/name ne '{FOREIGN} 2'",
    "not (id eq 2)",
]
FAR = {
    "Thing": [f"Locations/name eq '{FOREIGN} 2'", "Locations/id gt 1", "Locations/Things/id eq 2"],
    "Location": [f"Things/name eq '{FOREIGN} 2'", "Things/id eq 2"],
    "HistoricalLocation": ["Locations/id gt 1"],
    "FeatureOfInterest": [f"Observations/result eq '{FOREIGN}'", "Observations/Datastream/id eq 2"],
    "Datastream": [
        f"Thing/Locations/name eq '{FOREIGN} 2'",
        f"Observations/FeatureOfInterest/name ne '{FOREIGN} 2'",
    ],
}
PLACES = ["geo.distance(location, geography'POINT(11 48)') lt 1", "st_within(location, location)"]


@st.composite
def paths(draw: st.DrawFn) -> tuple[str, Kind, bool]:
    """Return a path, the kind that it leads to, and whether to a set."""
    kind = draw(st.sampled_from(KINDS))
    path, many = kind.entities, True
    for _ in range(draw(st.integers(0, 2))):
        path += f"({draw(key(kind))})" if many else ""
        relation = draw(st.sampled_from(kind.relations))
        path, kind, many = f"{path}/{relation.name}", BY_NAME[relation.target], relation.many
    if many and draw(st.integers(0, 3)) == 0:
        path, many = f"{path}({draw(key(kind))})", False
    ends = ["", "", "", "/$ref", "/$count"] if many else ["", "", "/$ref", "/id", "/name", "/properties/s"]
    return path + draw(st.sampled_from(ends)), kind, many


def key(kind: Kind) -> st.SearchStrategy[str]:
    return READINGS if kind.name == "Observation" else KEYS


def filters(kind: Kind) -> st.SearchStrategy[str]:
    if kind.name == "Observation":
        return st.sampled_from(ODD) | TREES[kind.name].map(readable)
    plain = st.sampled_from(NAMED if kind.property("name") else PLAIN)
    if kind.name in FAR:
        plain |= st.sampled_from(FAR[kind.name])
    if kind.name == "Location":
        return plain | st.sampled_from(PLACES)
    return plain | TREES[kind.name].map(readable) if kind.name in TREES else plain


@st.composite
def options(draw: st.DrawFn, kind: Kind, *, many: bool, deep: int = 2) -> list[str]:
    """Return query options of a kind."""
    found = []
    if many:
        if draw(st.booleans()):
            found.append(f"$filter={draw(filters(kind))}")
        if draw(st.booleans()):
            ones = ["id", *(f"{one.name}/id" for one in kind.relations if not one.many)]
            ones += [one.name for one in kind.properties if one.form in {"text", "any"}]
            found.append(f"$orderby={draw(st.sampled_from(ones))} {draw(st.sampled_from(['asc', 'desc']))}")
        for option, values in (("$top", [0, 1, 1, 1, 2, 5]), ("$skip", [1, 3]), ("$count", ["true"])):
            if draw(st.booleans()):
                found.append(f"{option}={draw(st.sampled_from(values))}")
    if deep and draw(st.booleans()):
        relation = draw(st.sampled_from(kind.relations))
        inner = ";".join(draw(options(BY_NAME[relation.target], many=relation.many, deep=deep - 1)))
        found.append(f"$expand={relation.name}" + (f"({inner})" if inner else ""))
    return found


@st.composite
def questions(draw: st.DrawFn) -> str:
    path, kind, many = draw(paths())
    query = "&".join(quote(one, safe="$=,;()/'") for one in draw(options(kind, many=many)))
    return f"{path}?{query}"


def said(things: SensorThings, question: str) -> tuple[str, Any]:
    """Return what is answered, or what the error says."""
    try:
        found = answer(things, question, ONE)
    except NervureError as cause:
        return type(cause).__name__, (cause.what, cause.where, cause.hint)
    return str(found.status), found.body


def following(body: bytes) -> list[str]:
    """Return the addresses of next pages anywhere in an answer."""
    found: list[str] = []

    def look(value: Any) -> None:
        for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            look(one)
        if isinstance(value, dict):
            found.extend(one for name, one in value.items() if name.endswith("nextLink"))

    look(msgspec.json.decode(body) if body[:1] in b"{[" else None)
    return found


@given(question=questions())
@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
def test_a_project_is_answered_as_if_no_other_were_there(
    both: tuple[SensorThings, SensorThings], question: str
) -> None:
    alone, shared = both
    mine, seen = said(alone, question), said(shared, question)
    assert seen == mine, question
    if mine[0] != "200":
        return
    if FOREIGN not in question:
        assert FOREIGN.encode() not in mine[1]
    for link in following(mine[1])[:2]:
        inside = link.removeprefix(BASE)
        assert said(shared, inside) == said(alone, inside), link


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in FAR.items() for text in texts])
def test_what_links_astray_lead_to_is_not_there(
    both: tuple[SensorThings, SensorThings], kind: str, text: str
) -> None:
    question = f"{BY_NAME[kind].entities}?$filter={quote(text)}&$count=true"
    alone, shared = both
    assert said(shared, question) == said(alone, question)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_token_of_another_project_leads_to_nothing_of_it(
    both: tuple[SensorThings, SensorThings], kind: Kind
) -> None:
    alone, shared = both
    for order in ("id desc", "name" if kind.property("name") else "id"):
        theirs = answer(
            shared, f"{kind.entities}?$top=1&$orderby={order}", TWO if "name" in order else EVERYTHING
        )
        for link in following(theirs.body):
            inside = link.removeprefix(BASE)
            assert said(shared, inside) == said(alone, inside)
            assert FOREIGN.encode() not in said(shared, inside)[1]


def test_the_two_projects_do_differ_for_who_sees_both(both: tuple[SensorThings, SensorThings]) -> None:
    alone, shared = both
    for kind in KINDS:
        counts = [
            msgspec.json.decode(answer(one, f"{kind.entities}?$count=true&$top=0", EVERYTHING).body)[
                "@iot.count"
            ]
            for one in (alone, shared)
        ]
        assert counts[1] == 2 * counts[0], kind.name
