"""The entities of SensorThings."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _feature_of_interest()
    _location()
    _observed_property()
    _sensor()
    _thing()
    _datastream()
    _historical_location()
    _thing_location()


def _feature_of_interest() -> None:
    op.create_table(
        "feature_of_interest",
        sa.Column("id", _KEY, nullable=False, comment="Key, given by the catalogue"),
        sa.Column("name", sa.Text(), nullable=False, comment="Name, as people call it"),
        sa.Column("description", sa.Text(), nullable=False, comment="What it is, in a sentence"),
        sa.Column(
            "definition", sa.Text(), nullable=False, comment="IRI of what defines it (SensorThings 2.0)"
        ),
        sa.Column(
            "encoding_type", sa.Text(), nullable=False, comment="How the feature is written, as a media type"
        ),
        sa.Column(
            "feature", sa.JSON(), nullable=False, comment="What the observations are about, usually GeoJSON"
        ),
        sa.Column("properties", sa.JSON(), nullable=False, comment="Anything else, as a JSON object"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feature_of_interest")),
        sa.UniqueConstraint("name", name=op.f("uq_feature_of_interest_name")),
        comment="What observations are about, where that is not the Thing",
    )


def _location() -> None:
    op.create_table(
        "location",
        sa.Column("id", _KEY, nullable=False, comment="Key, given by the catalogue"),
        sa.Column("name", sa.Text(), nullable=False, comment="Name, as people call it"),
        sa.Column("description", sa.Text(), nullable=False, comment="What it is, in a sentence"),
        sa.Column(
            "definition", sa.Text(), nullable=False, comment="IRI of what defines it (SensorThings 2.0)"
        ),
        sa.Column(
            "encoding_type", sa.Text(), nullable=False, comment="How the location is written, as a media type"
        ),
        sa.Column(
            "location", sa.JSON(), nullable=False, comment="Where, usually GeoJSON in WGS 84, longitude first"
        ),
        sa.Column("properties", sa.JSON(), nullable=False, comment="Anything else, as a JSON object"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_location")),
        comment="Where Things are",
    )


def _observed_property() -> None:
    op.create_table(
        "observed_property",
        sa.Column("id", _KEY, nullable=False, comment="Key, given by the catalogue"),
        sa.Column("name", sa.Text(), nullable=False, comment="Name, as people call it"),
        sa.Column("description", sa.Text(), nullable=False, comment="What it is, in a sentence"),
        sa.Column(
            "definition", sa.Text(), nullable=False, comment="IRI of what defines it (SensorThings 2.0)"
        ),
        sa.Column("properties", sa.JSON(), nullable=False, comment="Anything else, as a JSON object"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_observed_property")),
        sa.UniqueConstraint("name", name=op.f("uq_observed_property_name")),
        comment="Phenomena that are observed",
    )


def _sensor() -> None:
    op.create_table(
        "sensor",
        sa.Column("id", _KEY, nullable=False, comment="Key, given by the catalogue"),
        sa.Column("name", sa.Text(), nullable=False, comment="Name, as people call it"),
        sa.Column("description", sa.Text(), nullable=False, comment="What it is, in a sentence"),
        sa.Column(
            "definition", sa.Text(), nullable=False, comment="IRI of what defines it (SensorThings 2.0)"
        ),
        sa.Column(
            "encoding_type",
            sa.Text(),
            nullable=False,
            comment="How the metadata are written, as a media type",
        ),
        sa.Column(
            "metadata", sa.Text(), nullable=False, comment="Data sheet of the instrument, or the model"
        ),
        sa.Column("properties", sa.JSON(), nullable=False, comment="Anything else, as a JSON object"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sensor")),
        sa.UniqueConstraint("name", name=op.f("uq_sensor_name")),
        comment="Instruments and models that yield observations",
    )


def _thing() -> None:
    op.create_table(
        "thing",
        sa.Column("id", _KEY, nullable=False, comment="Key, given by the catalogue"),
        sa.Column("name", sa.Text(), nullable=False, comment="Name, as people call it"),
        sa.Column("description", sa.Text(), nullable=False, comment="What it is, in a sentence"),
        sa.Column(
            "definition", sa.Text(), nullable=False, comment="IRI of what defines it (SensorThings 2.0)"
        ),
        sa.Column("properties", sa.JSON(), nullable=False, comment="Anything else, as a JSON object"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_thing")),
        sa.UniqueConstraint("name", name=op.f("uq_thing_name")),
        comment="Objects of the world that are sensed or acted on",
    )


def _datastream() -> None:
    op.create_table(
        "datastream",
        *_described(),
        *_spans(),
        *_declared(),
        *_rules(),
        comment="Series of observations of one property of one Thing by one Sensor in one unit",
    )
    op.create_index(
        op.f("ix_datastream_observed_property_id"), "datastream", ["observed_property_id"], unique=False
    )
    op.create_index(op.f("ix_datastream_sensor_id"), "datastream", ["sensor_id"], unique=False)
    op.create_index(
        "ix_datastream_solution_signal_kind", "datastream", ["solution", "signal", "kind"], unique=False
    )
    op.create_index(op.f("ix_datastream_source_id"), "datastream", ["source_id"], unique=False)
    op.create_index(op.f("ix_datastream_thing_id"), "datastream", ["thing_id"], unique=False)


def _described() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", _KEY, nullable=False, comment="Key, given by the catalogue"),
        sa.Column("name", sa.Text(), nullable=False, comment="Name, as people call it"),
        sa.Column("description", sa.Text(), nullable=False, comment="What it is, in a sentence"),
        sa.Column(
            "definition", sa.Text(), nullable=False, comment="IRI of what defines it (SensorThings 2.0)"
        ),
        sa.Column("thing_id", _KEY, nullable=False, comment="Whose property is observed"),
        sa.Column("sensor_id", _KEY, nullable=True, comment="What observes it"),
        sa.Column("observed_property_id", _KEY, nullable=True, comment="What is observed"),
        sa.Column(
            "unit",
            sa.Text(),
            nullable=False,
            comment="UCUM code; name and symbol of unitOfMeasurement come from it",
        ),
        sa.Column(
            "observation_type",
            sa.Text(),
            nullable=False,
            comment="IRI of the kind of result (SensorThings 1.1)",
        ),
        sa.Column(
            "result_type",
            sa.JSON(),
            nullable=True,
            comment="SWE Common description of the result (SensorThings 2.0)",
        ),
    ]


def _spans() -> list[sa.Column[Any]]:
    return [
        sa.Column(
            "observed_area", sa.JSON(), nullable=True, comment="GeoJSON polygon around what was observed"
        ),
        sa.Column("phenomenon_start_ns", sa.BigInteger(), nullable=True, comment="First phenomenon time"),
        sa.Column("phenomenon_end_ns", sa.BigInteger(), nullable=True, comment="Newest phenomenon time"),
        sa.Column("result_start_ns", sa.BigInteger(), nullable=True, comment="First result time"),
        sa.Column("result_end_ns", sa.BigInteger(), nullable=True, comment="Newest result time"),
    ]


def _declared() -> list[sa.Column[Any]]:
    return [
        sa.Column("solution", sa.Text(), nullable=False, comment="Which solution declared it"),
        sa.Column("signal", sa.Text(), nullable=False, comment="Which of its signals it carries"),
        sa.Column("kind", sa.Text(), nullable=False, comment="reading, forecast or score"),
        sa.Column("source_id", _KEY, nullable=True, comment="The readings that a forecast or score is about"),
        sa.Column("every_ns", sa.BigInteger(), nullable=False, comment="Sampling interval; 0 when irregular"),
        sa.Column("low", sa.Float(precision=53), nullable=True, comment="Least possible value"),
        sa.Column("high", sa.Float(precision=53), nullable=True, comment="Greatest possible value"),
        sa.Column("properties", sa.JSON(), nullable=False, comment="Anything else, as a JSON object"),
    ]


def _rules() -> list[sa.Constraint]:
    return [
        sa.ForeignKeyConstraint(
            ["observed_property_id"],
            ["observed_property.id"],
            name=op.f("fk_datastream_observed_property_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["sensor_id"], ["sensor.id"], name=op.f("fk_datastream_sensor_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["source_id"], ["datastream.id"], name=op.f("fk_datastream_source_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["thing_id"], ["thing.id"], name=op.f("fk_datastream_thing_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datastream")),
        sa.UniqueConstraint("thing_id", "name", name=op.f("uq_datastream_thing_id_name")),
    ]


def _historical_location() -> None:
    op.create_table(
        "historical_location",
        sa.Column("id", _KEY, nullable=False, comment="Key, given by the catalogue"),
        sa.Column("thing_id", _KEY, nullable=False, comment="Which Thing"),
        sa.Column("location_id", _KEY, nullable=False, comment="Where it was"),
        sa.Column("time_ns", sa.BigInteger(), nullable=False, comment="Since when it was there"),
        sa.ForeignKeyConstraint(
            ["location_id"],
            ["location.id"],
            name=op.f("fk_historical_location_location_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["thing_id"], ["thing.id"], name=op.f("fk_historical_location_thing_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_historical_location")),
        comment="Where each Thing was, and since when",
    )
    op.create_index(
        op.f("ix_historical_location_location_id"), "historical_location", ["location_id"], unique=False
    )
    op.create_index(
        op.f("ix_historical_location_thing_id"), "historical_location", ["thing_id"], unique=False
    )


def _thing_location() -> None:
    op.create_table(
        "thing_location",
        sa.Column("thing_id", _KEY, nullable=False, comment="Which Thing"),
        sa.Column("location_id", _KEY, nullable=False, comment="Where it is now"),
        sa.ForeignKeyConstraint(
            ["location_id"], ["location.id"], name=op.f("fk_thing_location_location_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["thing_id"], ["thing.id"], name=op.f("fk_thing_location_thing_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("thing_id", "location_id", name=op.f("pk_thing_location")),
        comment="The present Locations of each Thing",
    )
    op.create_index(op.f("ix_thing_location_location_id"), "thing_location", ["location_id"], unique=False)
