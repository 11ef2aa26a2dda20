from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from nervure.core.alert import Alert, Evidence, alert_id
from nervure.core.card import Card, Channel
from nervure.core.entity import Datastream, FeatureOfInterest, Location, ObservedProperty, Sensor, Thing
from nervure.core.error import EnvironmentMissing, NotFoundError, SettingError, StoreError
from nervure.core.observation import Reject
from nervure.core.problem import Forecast
from nervure.store import quarantine
from nervure.store.catalogue import Catalogue
from nervure.store.database import Database
from nervure.store.migration import HEAD
from nervure.store.monitor import Posted
from nervure.store.sql import METADATA

POINT = {"type": "Point", "coordinates": [11.88, 45.4]}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "catalogue.db"


def alert(start: int = 1_000, **changed: object) -> Alert:
    made = Alert(
        id=alert_id("burst", 7, start),
        solution="water",
        rule="burst",
        severity="major",
        thing=1,
        datastream=7,
        text="Likely burst",
        start_ns=start,
        raised_ns=start + 1,
        sure=0.99,
        evidence=(Evidence(datastream=7, time_ns=start, value=9.5, expected=4.0),),
        properties={"hours": 2},
    )
    return msgspec.structs.replace(made, **changed)


def card(version: str) -> Card:
    return Card(
        name="water-inflow",
        version=version,
        solution="water",
        problem=Forecast(of="inflow", horizon="24h", window="7d"),
        model="mixer",
        created="2023-01-01T00:00:00Z",
        streams=("A/inflow",),
        channels=(Channel(signal="inflow"),),
        every_ns=3_600_000_000_000,
        window=168,
        horizon=24,
        quantiles=(0.1, 0.5, 0.9),
        spread=((0.1, 0.2),),
        limits={"anomaly": 3.5},
    )


# --- entities ------------------------------------------------------------------------------------


def test_entities_are_made_once_and_changed_to_what_is_declared(catalogue: Catalogue) -> None:
    thing = catalogue.ensure_thing(Thing(name="DMA A", properties={"people": 1000}))
    sensor = catalogue.ensure_sensor(Sensor(name="meter", metadata="https://example.org/meter"))
    observed = catalogue.ensure_property(ObservedProperty(name="Net inflow", definition="urn:inflow"))
    feature = catalogue.ensure_feature(FeatureOfInterest(name="pipe", feature=POINT))
    declared = Datastream(
        name="inflow",
        unit="L/s",
        thing=thing.id,
        sensor=sensor.id,
        observed_property=observed.id,
        solution="water",
        signal="inflow",
        every_ns=3_600,
        low=0.0,
        high=500.0,
    )
    readings = catalogue.ensure_datastream(declared)
    changes = {"name": "inflow forecast", "kind": "forecast", "source": readings.id, "low": None, "sensor": 0}
    ahead = catalogue.ensure_datastream(msgspec.structs.replace(declared, **changes))
    assert readings.id != ahead.id
    assert catalogue.ensure_datastream(declared) == readings
    assert catalogue.datastream(readings.id) == readings
    assert catalogue.datastreams() == [readings, ahead]
    assert catalogue.datastreams(kind="forecast", solution="water") == [ahead]
    assert catalogue.datastreams(thing=thing.id, signal="inflow") == [readings, ahead]
    assert catalogue.datastreams(solution="air") == []
    changed = catalogue.ensure_thing(Thing(name="DMA A", description="Hospital district"))
    assert changed.id == thing.id
    assert catalogue.things() == [catalogue.thing(thing.id)] == [changed]
    assert catalogue.sensors() == [sensor]
    assert catalogue.properties() == [observed]
    assert catalogue.features() == [feature]


def test_a_thing_that_moves_leaves_its_history(catalogue: Catalogue) -> None:
    here = Location(name="depot", location=POINT)
    there = Location(name="street", location={"type": "Point", "coordinates": [11.9, 45.5]})
    thing = catalogue.ensure_thing(Thing(name="pump"), here)
    catalogue.ensure_thing(Thing(name="pump"), here)
    catalogue.ensure_thing(Thing(name="pump"), there)
    assert [one.name for one in catalogue.locations(thing.id)] == ["street"]
    assert [one.name for one in catalogue.locations()] == ["depot", "street"]
    assert [one.name for _, one in catalogue.historical_locations(thing.id)] == ["street", "depot"]
    corrected = msgspec.structs.replace(there, location=POINT)
    catalogue.ensure_thing(Thing(name="pump"), corrected)
    assert catalogue.locations(thing.id)[0].location == POINT
    assert len(catalogue.historical_locations(thing.id)) == 2


def test_what_is_not_there_is_said(catalogue: Catalogue) -> None:
    with pytest.raises(NotFoundError, match="no Thing 9"):
        catalogue.thing(9)
    with pytest.raises(NotFoundError, match="no Datastream 9"):
        catalogue.datastream(9)
    with pytest.raises(NotFoundError, match="no alert 'x'"):
        catalogue.alert("x")
    with pytest.raises(NotFoundError, match="no model 9"):
        catalogue.promote(9, "ann")
    with pytest.raises(StoreError, match=r"(?i)foreign key"):
        catalogue.ensure_datastream(Datastream(name="orphan", unit="L/s", thing=9))


def test_spans_are_written_down(catalogue: Catalogue, catalogue_place: Path | str) -> None:
    thing = catalogue.ensure_thing(Thing(name="A"))
    stream = catalogue.ensure_datastream(Datastream(name="a", unit="L/s", thing=thing.id))
    catalogue.save_spans({stream.id: (5, 9)})
    with closing(Database(catalogue_place)) as database, database.read() as connection:
        spans = sa.text("SELECT phenomenon_start_ns, phenomenon_end_ns FROM datastream")
        row = connection.execute(spans).one()
    assert tuple(row) == (5, 9)


# --- alerts and views ----------------------------------------------------------------------------


def test_position_state_alerts_and_news_are_one_transaction(catalogue: Catalogue) -> None:
    assert catalogue.view("score") is None
    catalogue.commit_view("score", 5, b"five", [alert()])
    catalogue.commit_view("score", 6, b"six", [alert()])  # a replay: nothing new
    assert catalogue.view("score") == (6, b"six")
    assert catalogue.alerts() == [alert()]
    [(key, news)] = catalogue.outbox()
    assert news == alert()
    cleared = alert(active=False, end_ns=2_000)
    catalogue.commit_view("score", 7, b"seven", [cleared])
    assert [one for _, one in catalogue.outbox()] == [alert(), cleared]
    catalogue.delivered(key)
    assert [one for _, one in catalogue.outbox()] == [cleared]
    with pytest.raises(StoreError, match="cannot go back to 6"):
        catalogue.commit_view("score", 6, b"", [alert(start=5)])
    assert catalogue.view("score") == (7, b"seven")
    assert len(catalogue.alerts()) == 1


def test_a_commit_that_fails_leaves_nothing(catalogue: Catalogue) -> None:
    catalogue.commit_view("score", 5, b"five")
    broken = alert(text=None)
    with pytest.raises(StoreError, match=r"(?i)not.null"):
        catalogue.commit_view("score", 6, b"six", [alert(start=9), broken])
    assert catalogue.view("score") == (5, b"five")
    assert catalogue.alerts() == []
    assert catalogue.outbox() == []


def test_what_a_person_said_is_never_overwritten(catalogue: Catalogue) -> None:
    catalogue.save_alerts([alert()])
    assert catalogue.acknowledge(alert().id, "ann").acknowledged
    catalogue.shelve(alert().id, 1_700_000_000_000_000_000, "bob", "works in the street")
    catalogue.commit_view("score", 1, b"", [alert(active=False, end_ns=2_000, text="It is over")])
    stored = catalogue.alert(alert().id)
    assert (stored.active, stored.acknowledged, stored.text) == (False, True, "It is over")
    assert stored.shelved_until_ns == 1_700_000_000_000_000_000
    assert catalogue.outbox()[0][1] == stored
    assert catalogue.shelve(alert().id, None, "bob", "done").shelved_until_ns is None
    said = [(entry.who, entry.what, entry.detail.get("until")) for entry in catalogue.audits()]
    assert said == [
        ("bob", "alert.shelve", None),
        ("bob", "alert.shelve", "2023-11-14T22:13:20Z"),
        ("ann", "alert.acknowledge", None),
    ]


def test_a_verdict_stays_on_an_alert_whatever_the_rules_say_later(catalogue: Catalogue) -> None:
    catalogue.save_alerts([alert(model="m1"), alert(start=9, model="m1")])
    stamp = catalogue.stamp()
    told = catalogue.judge(alert().id, "planned", "ann", "works in the street")
    assert told.acknowledged
    assert catalogue.stamp() != stamp, "who heeds verdicts must see that there is one"
    catalogue.commit_view("score", 1, b"", [alert(model="m1", active=False, properties={"more": 1})])
    (found,) = catalogue.judged(alert().solution, ["m1", "m2"])
    assert found.properties["more"] == 1
    said = found.properties["verdict"]
    assert (said["verdict"], said["by"], said["note"]) == ("planned", "ann", "works in the street")
    assert catalogue.judged(alert().solution, ["m2"]) == catalogue.judged("other", ["m1"]) == []
    catalogue.judge(alert().id, "true", "bob")
    assert catalogue.alert(alert().id).properties["verdict"]["verdict"] == "true"
    assert [(one.who, one.what) for one in catalogue.audits()] == [
        ("bob", "alert.judge"),
        ("ann", "alert.judge"),
    ]
    with pytest.raises(NotFoundError):
        catalogue.judge("nope", "true", "bob")


def posted(thing: int, version: str = "v1") -> Posted:
    return Posted(
        thing=thing, version=version, package="p", streams=(1, 2), watched=(2,), origin_ns=5,
        severity="minor", state=b"state", about={"says": "so"}, fitted_ns=7,
    )  # fmt: skip


def test_a_thing_has_one_monitor(catalogue: Catalogue) -> None:
    stamp = catalogue.stamp()
    catalogue.post_monitor(posted(1), "ann")
    catalogue.post_monitor(posted(2), "ann")
    assert catalogue.stamp() != stamp
    catalogue.post_monitor(posted(1, "v2"), "ann")
    assert [(one.thing, one.version, one.state) for one in catalogue.monitors()] == [
        (1, "v2", b""),
        (2, "v1", b""),
    ]
    assert catalogue.monitor(1) == posted(1, "v2")
    assert catalogue.monitors(project=999) == []
    catalogue.drop_monitor(1, "bob")
    assert [one.thing for one in catalogue.monitors()] == [2]
    for asked in (lambda: catalogue.monitor(1), lambda: catalogue.drop_monitor(1, "bob")):
        with pytest.raises(NotFoundError):
            asked()


def test_alerts_are_found_newest_first(catalogue: Catalogue) -> None:
    many = [alert(start=start, active=start % 2 == 0) for start in range(10)]
    assert catalogue.save_alerts(many) == many
    assert catalogue.save_alerts(many) == []
    assert [one.start_ns for one in catalogue.alerts(limit=3)] == [9, 8, 7]
    assert [one.start_ns for one in catalogue.alerts(active=True)] == [8, 6, 4, 2, 0]
    assert catalogue.alerts(solution="air") == []


# --- quarantine ----------------------------------------------------------------------------------


def reject(sequence: int, index: int = 0, reason: str = "future", **more: object) -> Reject:
    made = Reject(sequence=sequence, index=index, subject="v1//1.Datastreams(1).Observations", reason=reason)
    return msgspec.structs.replace(made, **more)


def test_rejects_are_counted_once_whatever_is_replayed(catalogue: Catalogue) -> None:
    cut_off = reject(2, 4, "malformed", payload=b"{", detail="cut off", received_ns=9)
    some = [reject(1), reject(2, 3, count=5), cut_off]
    assert catalogue.add_rejects(some) == 3
    assert catalogue.add_rejects(some) == 0
    assert catalogue.add_rejects([]) == 0
    assert catalogue.quarantine_counts() == {"future": 6, "malformed": 1}
    assert catalogue.quarantine(reason="malformed") == [some[2]]
    assert catalogue.quarantine(limit=1) == [some[2]]
    assert catalogue.add_rejects([reject(9), reject(4)]) == 2
    assert catalogue.add_rejects([reject(7), reject(4), reject(9)]) == 1  # came out of order
    assert catalogue.quarantine_counts()["future"] == 9


def test_the_newest_of_each_reason_are_kept_and_counts_stay_exact(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "KEPT", 10)
    many = [reject(sequence, payload=b"x" * 20_000) for sequence in range(1, 26)]
    catalogue.add_rejects([reject(1, reason="flood")])
    catalogue.add_rejects(many[:15])
    assert catalogue.add_rejects(many[:20]) == 5
    assert catalogue.add_rejects(many) == 5
    kept = catalogue.quarantine(reason="future")
    assert [one.sequence for one in kept] == list(range(25, 15, -1))
    assert len(kept[0].payload) == quarantine.PAYLOAD_BYTES
    assert catalogue.quarantine_counts() == {"flood": 1, "future": 25}


# --- models --------------------------------------------------------------------------------------


def test_one_model_a_problem_is_promoted(catalogue: Catalogue) -> None:
    assert catalogue.champion("water", "forecast-inflow") is None
    first = catalogue.add_model(card("1"), "water-1.onnx", "aa", promoted=True)
    assert catalogue.add_model(card("1"), "water-1.onnx", "aa") == first
    second = catalogue.add_model(card("2"), "water-2.onnx", "bb", promoted=False)
    assert catalogue.champion("water", "forecast-inflow") == first
    assert first.card == card("1")
    promoted = catalogue.promote(second.id, "ann")
    assert promoted.promoted
    assert catalogue.champion("water", "forecast-inflow") == promoted
    assert [(one.version, one.promoted) for one in catalogue.models("water")] == [("2", True), ("1", False)]
    assert catalogue.models("air") == []
    assert catalogue.audits()[0].what == "model.promote"
    catalogue.audit("ann", "setting.change", {"name": "nats.port"})
    assert catalogue.audits(1)[0].detail == {"name": "nats.port"}


# --- the database --------------------------------------------------------------------------------


def test_migrations_make_the_tables_that_the_code_declares(catalogue_place: Path | str) -> None:
    Catalogue.open(catalogue_place).close()
    with closing(Database(catalogue_place)) as database, database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        present = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one()
    config = Config()
    config.set_main_option("script_location", "src/nervure/store/migration")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD] == [present]


def test_every_table_and_column_is_explained() -> None:
    for table in METADATA.tables.values():
        assert table.comment, table.name
        for column in table.columns:
            assert column.comment, f"{table.name}.{column.name}"


def test_a_catalogue_of_a_newer_version_is_left_alone(
    catalogue: Catalogue, catalogue_place: Path | str
) -> None:
    catalogue.close()
    with closing(Database(catalogue_place)) as database, database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer Nervure"):
        Catalogue.open(catalogue_place)


def test_a_damaged_file_is_a_clear_error(place: Path) -> None:
    place.write_bytes(b"this is no database" * 1000)
    with pytest.raises(StoreError, match="not a database") as caught:
        Catalogue.open(place)
    assert "damaged" in str(caught.value.hint)
    assert str(place) in str(caught.value.where)


def test_a_wrong_address_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentMissing, match="no driver"):
        Catalogue.open("nosuchdatabase://host/name")
    with pytest.raises(SettingError, match="not a database URL"):
        Catalogue.open("://")
    with pytest.raises(StoreError, match="unable to open"):
        Catalogue.open(tmp_path / "no" / "such" / "folder.db")


def test_threads_share_a_catalogue(catalogue: Catalogue) -> None:
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(15):
                thing = catalogue.ensure_thing(Thing(name=f"thing {turn}"))
                catalogue.ensure_datastream(Datastream(name=f"{number}", unit="1", thing=thing.id))
                catalogue.commit_view(f"view {number}", turn, b"", [alert(start=turn)])
                assert len(catalogue.things()) > turn
        except BaseException as error:  # noqa: BLE001 - told by the test
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(catalogue.things()) == 15
    assert len(catalogue.datastreams()) == 60
    assert len(catalogue.alerts()) == len(catalogue.outbox()) == 15


def test_several_open_a_new_catalogue_at_once(place: Path) -> None:
    opened: list[Catalogue] = []
    threads = [threading.Thread(target=lambda: opened.append(Catalogue.open(place))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    opened[0].ensure_thing(Thing(name="A"))
    assert [one.name for one in opened[3].things()] == ["A"]
