"""The tables of the catalogue, for SQLite and PostgreSQL alike.

Entities follow OGC SensorThings 1.1 (18-088, section 8.2) with the columns that 2.0 (OGC 23-019)
adds, so that either is a view of the same rows. Instants are nanoseconds since 1970 in UTC.
The id of an entity that was deleted is never given again (``sqlite_autoincrement``).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

__all__ = ["METADATA"]

METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A whole key; SQLite numbers rows by itself only in a column that is called INTEGER."""


def _key() -> sa.Column[int]:
    return sa.Column("id", KEY, primary_key=True, comment="Key, given by the catalogue")


def _link(
    name: str, target: str, comment: str, *, required: bool = True, index: bool = True
) -> sa.Column[int]:
    foreign = sa.ForeignKey(f"{target}.id", ondelete="CASCADE" if required else "SET NULL")
    return sa.Column(name, KEY, foreign, nullable=not required, index=index, comment=comment)


def _text(name: str, comment: str, *, required: bool = True) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=not required, comment=comment)


def _instant(name: str, comment: str, *, required: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=not required, comment=comment)


def _json(name: str, comment: str, *, required: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.JSON, nullable=not required, comment=comment)


def _named() -> tuple[sa.Column[str], sa.Column[int]]:
    return (
        _text("key", "Key that the client chose, where it is not a number", required=False),
        sa.Column("project_id", KEY, nullable=False, index=True, server_default="1", comment="Whose it is"),
    )


def _described() -> tuple[sa.Column[Any], ...]:
    return (
        *_named(),
        _text("name", "Name, as people call it"),
        _text("description", "What it is, in a sentence"),
        _text("definition", "IRI of what defines it (SensorThings 2.0)"),
    )


def _properties() -> sa.Column[object]:
    return _json("properties", "Anything else, as a JSON object")


thing = sa.Table(
    "thing", METADATA, _key(), *_described(), _properties(),
    sa.UniqueConstraint("project_id", "key"),
    sa.Index("ix_thing_name", "name"),
    sqlite_autoincrement=True,
    comment="Objects of the world that are sensed or acted on",
)  # fmt: skip

location = sa.Table(
    "location", METADATA, _key(), *_described(),
    _text("encoding_type", "How the location is written, as a media type"),
    _json("location", "Where, usually GeoJSON in WGS 84, longitude first"),
    _properties(),
    _link("feature_id", "feature_of_interest", "The feature made of it for Observations", required=False),
    sa.UniqueConstraint("project_id", "key"),
    sqlite_autoincrement=True,
    comment="Where Things are",
)  # fmt: skip

thing_location = sa.Table(
    "thing_location", METADATA,
    sa.Column(
        "thing_id", KEY, sa.ForeignKey("thing.id", ondelete="CASCADE"), primary_key=True,
        comment="Which Thing",
    ),
    sa.Column(
        "location_id", KEY, sa.ForeignKey("location.id", ondelete="CASCADE"), primary_key=True, index=True,
        comment="Where it is now",
    ),
    comment="The present Locations of each Thing",
)  # fmt: skip

historical_location = sa.Table(
    "historical_location", METADATA, _key(), *_named(),
    _link("thing_id", "thing", "Which Thing"),
    _instant("time_ns", "Since when it was there", required=True),
    sa.UniqueConstraint("project_id", "key"),
    sqlite_autoincrement=True,
    comment="Since when each Thing was somewhere",
)  # fmt: skip

historical_place = sa.Table(
    "historical_place", METADATA,
    sa.Column(
        "historical_location_id", KEY, sa.ForeignKey("historical_location.id", ondelete="CASCADE"),
        primary_key=True, comment="Which stay",
    ),
    sa.Column(
        "location_id", KEY, sa.ForeignKey("location.id", ondelete="CASCADE"), primary_key=True, index=True,
        comment="Where it was",
    ),
    comment="The Locations of each stay",
)  # fmt: skip

sensor = sa.Table(
    "sensor", METADATA, _key(), *_described(),
    _text("encoding_type", "How the metadata are written, as a media type"),
    _json("metadata", "Data sheet of the instrument, or the model"),
    _properties(),
    sa.UniqueConstraint("project_id", "key"),
    sa.Index("ix_sensor_name", "name"),
    sqlite_autoincrement=True,
    comment="Instruments and models that yield observations",
)  # fmt: skip

observed_property = sa.Table(
    "observed_property", METADATA, _key(), *_described(), _properties(),
    sa.UniqueConstraint("project_id", "key"),
    sa.Index("ix_observed_property_name", "name"),
    sqlite_autoincrement=True,
    comment="Phenomena that are observed",
)  # fmt: skip

feature_of_interest = sa.Table(
    "feature_of_interest", METADATA, _key(), *_described(),
    _text("encoding_type", "How the feature is written, as a media type"),
    _json("feature", "What the observations are about, usually GeoJSON"),
    _properties(),
    sa.UniqueConstraint("project_id", "key"),
    sa.Index("ix_feature_of_interest_name", "name"),
    sqlite_autoincrement=True,
    comment="What observations are about, where that is not the Thing",
)  # fmt: skip

datastream = sa.Table(
    "datastream", METADATA, _key(), *_described(),
    _link("thing_id", "thing", "Whose property is observed"),
    _link("sensor_id", "sensor", "What observes it", required=False),
    _link("observed_property_id", "observed_property", "What is observed", required=False),
    sa.Column(
        "multi", sa.Boolean, nullable=False, server_default=sa.false(),
        comment="Whether its results are arrays of several observed properties (MultiDatastream)",
    ),
    _text("unit", "UCUM code of the results, where it is known"),
    _json("unit_of_measurement", "Name, symbol and definition of the unit", required=False),
    _json("units_of_measurement", "The same for each place of an array result", required=False),
    _json("data_types", "The kind of result of each place of an array result", required=False),
    _text("observation_type", "IRI of the kind of result (SensorThings 1.1)"),
    _json("result_type", "SWE Common description of the result (SensorThings 2.0)", required=False),
    _json("observed_area", "GeoJSON polygon around what was observed", required=False),
    _instant("phenomenon_start_ns", "First phenomenon time"),
    _instant("phenomenon_end_ns", "Newest phenomenon time"),
    _instant("result_start_ns", "First result time"),
    _instant("result_end_ns", "Newest result time"),
    _text("solution", "Which solution declared it"),
    _text("signal", "Which of its signals it carries"),
    _text("kind", "reading, forecast or score"),
    _link("source_id", "datastream", "The readings that a forecast or score is about", required=False),
    sa.Column("every_ns", sa.BigInteger, nullable=False, comment="Sampling interval; 0 when irregular"),
    sa.Column("low", sa.Float(53), comment="Least possible value"),
    sa.Column("high", sa.Float(53), comment="Greatest possible value"),
    _properties(),
    sa.UniqueConstraint("project_id", "key"),
    sa.Index("ix_datastream_thing_id_name", "thing_id", "name"),
    sa.Index("ix_datastream_solution_signal_kind", "solution", "signal", "kind"),
    sqlite_autoincrement=True,
    comment="Series of observations of one property of one Thing by one Sensor in one unit",
)  # fmt: skip

datastream_property = sa.Table(
    "datastream_property", METADATA,
    sa.Column(
        "datastream_id", KEY, sa.ForeignKey("datastream.id", ondelete="CASCADE"), primary_key=True,
        comment="Which MultiDatastream",
    ),
    sa.Column("position", sa.Integer, primary_key=True, comment="Place in its array results"),
    sa.Column(
        "observed_property_id", KEY, sa.ForeignKey("observed_property.id", ondelete="CASCADE"),
        nullable=False, index=True, comment="What is observed there",
    ),
    comment="The observed properties of each MultiDatastream, in order",
)  # fmt: skip

datastream_feature = sa.Table(
    "datastream_feature", METADATA,
    sa.Column(
        "datastream_id", KEY, sa.ForeignKey("datastream.id", ondelete="CASCADE"), primary_key=True,
        comment="Which Datastream",
    ),
    sa.Column(
        "feature_id", KEY, sa.ForeignKey("feature_of_interest.id", ondelete="CASCADE"), primary_key=True,
        index=True, comment="Which feature its Observations are about",
    ),
    comment="The features that each Datastream has observed, from which its observedArea comes",
)  # fmt: skip

actuator = sa.Table(
    "actuator", METADATA, _key(), *_described(),
    _text("encoding_type", "How the metadata are written, as a media type"),
    _json("metadata", "Data sheet of the actuator"),
    _properties(),
    sa.UniqueConstraint("project_id", "key"),
    sqlite_autoincrement=True,
    comment="Devices that carry out Tasks (OGC 17-079)",
)  # fmt: skip

tasking_capability = sa.Table(
    "tasking_capability", METADATA, _key(), *_described(),
    _json("tasking_parameters", "What may be asked, in SWE Common"),
    _properties(),
    _link("thing_id", "thing", "Of which Thing"),
    _link("actuator_id", "actuator", "What carries it out"),
    sa.UniqueConstraint("project_id", "key"),
    sqlite_autoincrement=True,
    comment="What may be asked of Things (OGC 17-079)",
)  # fmt: skip

task = sa.Table(
    "task", METADATA, _key(), *_named(),
    _instant("creation_ns", "When it was asked", required=True),
    _json("tasking_parameters", "What is asked, by the names of its capability's parameters"),
    _text("status", "requested, dispatched, acknowledged, rejected, failed, completed"),
    _json("run_log", "What became of it, with the instants"),
    _properties(),
    _link("tasking_capability_id", "tasking_capability", "Which capability is asked for"),
    sa.UniqueConstraint("project_id", "key"),
    sa.Index("ix_task_status_tasking_capability_id", "status", "tasking_capability_id"),
    sqlite_autoincrement=True,
    comment="What was asked of Things (OGC 17-079, with the status of SensorThings 2.0)",
)  # fmt: skip

tally = sa.Table(
    "tally", METADATA,
    sa.Column("name", sa.Text, primary_key=True, comment="What is counted"),
    sa.Column("number", sa.BigInteger, nullable=False, comment="How often it happened"),
    comment="Counts of changes, for those who keep in memory what they read",
)  # fmt: skip

alert = sa.Table(
    "alert", METADATA,
    sa.Column("id", sa.Text, primary_key=True, comment="Deterministic id: rule, Datastream and start"),
    _text("solution", "Which solution raised it"),
    _text("rule", "Which of its rules"),
    _text("severity", "critical, major, minor, warning or info"),
    # No foreign keys: an alert outlives what it is about.
    sa.Column("thing_id", sa.BigInteger, nullable=False, comment="Where"),
    sa.Column("datastream_id", sa.BigInteger, nullable=False, comment="In which readings"),
    _text("text", "The sentence that a person reads"),
    _instant("start_ns", "Since when", required=True),
    _instant("raised_ns", "When it was raised", required=True),
    sa.Column("active", sa.Boolean, nullable=False, comment="Whether it still holds"),
    sa.Column("acknowledged", sa.Boolean, nullable=False, comment="Whether a person saw it"),
    _instant("end_ns", "Until when it held"),
    _instant("shelved_until_ns", "Until when a person wants no word of it"),
    sa.Column("sure", sa.Float(53), comment="Share of calibration scores below its own, 0..1"),
    _json("evidence", "The readings that show it"),
    _text("model", "Name and version of the model that scored it"),
    _properties(),
    sa.Index("ix_alert_active_raised_ns", "active", "raised_ns"),
    sa.Index("ix_alert_solution_raised_ns", "solution", "raised_ns"),
    comment="What rules found, in the state a person left it",
)  # fmt: skip

view = sa.Table(
    "view", METADATA,
    sa.Column("name", sa.Text, primary_key=True, comment="Which view of the log"),
    sa.Column("sequence", sa.BigInteger, nullable=False, comment="The last log position it holds"),
    sa.Column("state", sa.LargeBinary, nullable=False, comment="What it needs to go on from there"),
    comment="Position and state of each view of the log",
)  # fmt: skip

outbox = sa.Table(
    "outbox", METADATA, _key(),
    sa.Column("alert_id", sa.Text, nullable=False, index=True, comment="Which alert"),
    _json("alert", "The alert as it was then"),
    _instant("created_ns", "When it was written", required=True),
    sa.Column("delivered_ns", sa.BigInteger, index=True, comment="When it was delivered; null: not yet"),
    comment="News of alerts on their way to people, written with the alerts",
)  # fmt: skip

intent = sa.Table(
    "intent", METADATA, _key(),
    sa.Column("content", sa.LargeBinary, nullable=False, comment="The event, as the log takes it"),
    sa.Column("made", sa.Integer, nullable=False, comment="How many Observations it makes"),
    sqlite_autoincrement=True,
    comment="What the log must still be told, written with the change of entities that asks for it",
)  # fmt: skip

drafted = sa.Table(
    "drafted", METADATA,
    sa.Column(
        "sequence", sa.BigInteger, primary_key=True, autoincrement=False,
        comment="Log position of the message",
    ),
    # No foreign key: the log may hold the message longer than the catalogue its Datastream.
    sa.Column("datastream_id", sa.BigInteger, nullable=False, comment="Whose Observation it is"),
    sa.Column("message", sa.LargeBinary, nullable=False, comment="The Observation, its relations by number"),
    comment="Messages for which entities were made, so that a replay of the log finds them",
)  # fmt: skip

quarantine = sa.Table(
    "quarantine", METADATA, _key(),
    sa.Column("sequence", sa.BigInteger, nullable=False, comment="Log position of the message"),
    sa.Column("message_index", sa.Integer, nullable=False, comment="Place of the first reading in it"),
    sa.Column("count", sa.Integer, nullable=False, comment="How many readings of the message"),
    _text("subject", "Where the message was published"),
    _text("reason", "Why it was not taken, in a word"),
    _text("detail", "Why it was not taken, in a sentence"),
    sa.Column("payload", sa.LargeBinary, nullable=False, comment="The message, at most 16 KiB of it"),
    _instant("received_ns", "When it came", required=True),
    sa.Index("ix_quarantine_reason_sequence", "reason", "sequence", "message_index"),
    comment="The newest messages of each reason that could not be taken",
)  # fmt: skip

quarantine_total = sa.Table(
    "quarantine_total", METADATA,
    sa.Column("reason", sa.Text, primary_key=True, comment="Why readings were not taken"),
    sa.Column("total", sa.BigInteger, nullable=False, comment="How many readings, ever"),
    sa.Column("sequence", sa.BigInteger, nullable=False, comment="Log position of the newest one counted"),
    sa.Column("message_index", sa.Integer, nullable=False, comment="Its place in the message"),
    comment="Exact counts of what was not taken",
)  # fmt: skip

model = sa.Table(
    "model", METADATA, _key(),
    _text("name", "Name of the model"),
    _text("version", "Its version"),
    _text("solution", "For which solution"),
    _text("problem", "For which of its problems"),
    _text("package", "Name of its file in the object store"),
    sa.Column("sha256", sa.Text, nullable=False, comment="SHA-256 of that file"),
    _json("card", "Its card, as in the file"),
    _instant("added_ns", "When it was added", required=True),
    sa.Column("promoted", sa.Boolean, nullable=False, comment="Whether it scores now"),
    _instant("promoted_ns", "When it was last promoted"),
    sa.UniqueConstraint("sha256"),
    sa.Index("ix_model_solution_problem_promoted", "solution", "problem", "promoted"),
    comment="Trained models; at most one a problem is promoted",
)  # fmt: skip

audit = sa.Table(
    "audit", METADATA, _key(),
    _instant("time_ns", "When", required=True),
    _text("who", "The person or the process"),
    _text("what", "What was done, as noun.verb"),
    _json("detail", "To what, and how"),
    sa.Index("ix_audit_time_ns", "time_ns"),
    comment="Every change that a person or a process made on purpose",
)  # fmt: skip
