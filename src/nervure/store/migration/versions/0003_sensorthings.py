"""SensorThings whole: projects, keys of clients, MultiDatastreams, Tasking, several Locations a stay."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from nervure.core.unit import describe

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NUMBERED = {"sqlite_autoincrement": True}  # the id of a row that was deleted is never given again
_NAMED = ("feature_of_interest", "observed_property", "sensor", "thing")


def upgrade() -> None:
    _keys()
    _historical_location()
    _sensor()
    _datastream()
    _pairs()
    _tasking()
    op.create_table(
        "tally",
        sa.Column("name", sa.Text(), nullable=False, comment="What is counted"),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="How often it happened"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tally")),
        comment="Counts of changes, for those who keep in memory what they read",
    )
    _log()


def _id() -> sa.Column[int]:
    return sa.Column("id", _KEY, nullable=False, comment="Key, given by the catalogue")


def _key() -> sa.Column[str]:
    comment = "Key that the client chose, where it is not a number"
    return sa.Column("key", sa.Text(), nullable=True, comment=comment)


def _project() -> sa.Column[int]:
    return sa.Column("project_id", _KEY, server_default="1", nullable=False, comment="Whose it is")


def _properties() -> sa.Column[object]:
    return sa.Column("properties", sa.JSON(), nullable=False, comment="Anything else, as a JSON object")


def _texts(*columns: tuple[str, str]) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False, comment=comment) for name, comment in columns]


def _described() -> list[sa.Column[str]]:
    return _texts(
        ("name", "Name, as people call it"),
        ("description", "What it is, in a sentence"),
        ("definition", "IRI of what defines it (SensorThings 2.0)"),
    )


def _foreign(table: str, name: str, target: str, ondelete: str = "CASCADE") -> sa.ForeignKeyConstraint:
    key = op.f(f"fk_{table}_{name}")
    return sa.ForeignKeyConstraint([name], [f"{target}.id"], name=key, ondelete=ondelete)


def _keys() -> None:
    """Names need not be unique any more; a key that a client chose is, in its project."""
    for table in (*_NAMED, "location", "datastream", "historical_location"):
        with op.batch_alter_table(table, table_kwargs=_NUMBERED) as batch:
            batch.add_column(_key())
            batch.add_column(_project())
            if table in _NAMED:
                batch.drop_constraint(f"uq_{table}_name", type_="unique")
                batch.create_index(f"ix_{table}_name", ["name"])
            if table == "datastream":
                batch.drop_constraint("uq_datastream_thing_id_name", type_="unique")
                batch.create_index("ix_datastream_thing_id_name", ["thing_id", "name"])
            batch.create_unique_constraint(op.f(f"uq_{table}_project_id_key"), ["project_id", "key"])
            batch.create_index(op.f(f"ix_{table}_project_id"), ["project_id"])
            if table == "location":
                comment = "The feature made of it for Observations"
                batch.add_column(sa.Column("feature_id", _KEY, nullable=True, comment=comment))
                batch.create_foreign_key(
                    op.f("fk_location_feature_id"),
                    "feature_of_interest",
                    ["feature_id"],
                    ["id"],
                    ondelete="SET NULL",
                )
                batch.create_index(op.f("ix_location_feature_id"), ["feature_id"])


def _historical_location() -> None:
    op.create_table(
        "historical_place",
        sa.Column("historical_location_id", _KEY, nullable=False, comment="Which stay"),
        sa.Column("location_id", _KEY, nullable=False, comment="Where it was"),
        _foreign("historical_place", "historical_location_id", "historical_location"),
        _foreign("historical_place", "location_id", "location"),
        sa.PrimaryKeyConstraint("historical_location_id", "location_id", name=op.f("pk_historical_place")),
        comment="The Locations of each stay",
    )
    op.create_index(op.f("ix_historical_place_location_id"), "historical_place", ["location_id"])
    op.execute(
        "INSERT INTO historical_place (historical_location_id, location_id) "
        "SELECT id, location_id FROM historical_location"
    )
    with op.batch_alter_table("historical_location", table_kwargs=_NUMBERED) as batch:
        batch.drop_index("ix_historical_location_location_id")
        batch.drop_constraint("fk_historical_location_location_id", type_="foreignkey")
        batch.drop_column("location_id")
    if op.get_bind().dialect.name != "sqlite":  # which keeps no comments
        op.create_table_comment("historical_location", "Since when each Thing was somewhere")


def _sensor() -> None:
    """What was text becomes a JSON string."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("UPDATE sensor SET metadata = json_quote(metadata)")
    with op.batch_alter_table("sensor", table_kwargs=_NUMBERED) as batch:
        batch.alter_column(
            "metadata",
            existing_type=sa.Text(),
            existing_nullable=False,
            existing_comment="Data sheet of the instrument, or the model",
            type_=sa.JSON(),
            postgresql_using="to_json(metadata)",
        )


def _datastream() -> None:
    with op.batch_alter_table("datastream", table_kwargs=_NUMBERED) as batch:
        comment = "Whether its results are arrays of several observed properties (MultiDatastream)"
        batch.add_column(
            sa.Column("multi", sa.Boolean(), server_default=sa.false(), nullable=False, comment=comment)
        )
        for name, comment in (
            ("unit_of_measurement", "Name, symbol and definition of the unit"),
            ("units_of_measurement", "The same for each place of an array result"),
            ("data_types", "The kind of result of each place of an array result"),
        ):
            batch.add_column(sa.Column(name, sa.JSON(), nullable=True, comment=comment))
        batch.alter_column(
            "unit",
            existing_type=sa.Text(),
            existing_nullable=False,
            existing_comment="UCUM code; name and symbol of unitOfMeasurement come from it",
            comment="UCUM code of the results, where it is known",
        )
    connection = op.get_bind()
    table = sa.table("datastream", sa.column("unit", sa.Text), sa.column("unit_of_measurement", sa.JSON))
    for unit in connection.execute(sa.select(table.c.unit).distinct()).scalars().all():
        described = sa.update(table).values(unit_of_measurement=describe(unit))
        connection.execute(described.where(table.c.unit == unit))


def _pairs() -> None:
    op.create_table(
        "datastream_property",
        sa.Column("datastream_id", _KEY, nullable=False, comment="Which MultiDatastream"),
        sa.Column("position", sa.Integer(), nullable=False, comment="Place in its array results"),
        sa.Column("observed_property_id", _KEY, nullable=False, comment="What is observed there"),
        _foreign("datastream_property", "datastream_id", "datastream"),
        _foreign("datastream_property", "observed_property_id", "observed_property"),
        sa.PrimaryKeyConstraint("datastream_id", "position", name=op.f("pk_datastream_property")),
        comment="The observed properties of each MultiDatastream, in order",
    )
    op.create_index(
        op.f("ix_datastream_property_observed_property_id"), "datastream_property", ["observed_property_id"]
    )
    op.create_table(
        "datastream_feature",
        sa.Column("datastream_id", _KEY, nullable=False, comment="Which Datastream"),
        sa.Column("feature_id", _KEY, nullable=False, comment="Which feature its Observations are about"),
        _foreign("datastream_feature", "datastream_id", "datastream"),
        _foreign("datastream_feature", "feature_id", "feature_of_interest"),
        sa.PrimaryKeyConstraint("datastream_id", "feature_id", name=op.f("pk_datastream_feature")),
        comment="The features that each Datastream has observed, from which its observedArea comes",
    )
    op.create_index(op.f("ix_datastream_feature_feature_id"), "datastream_feature", ["feature_id"])


def _tasking() -> None:
    op.create_table(
        "actuator",
        _id(),
        _key(),
        _project(),
        *_described(),
        *_texts(("encoding_type", "How the metadata are written, as a media type")),
        sa.Column("metadata", sa.JSON(), nullable=False, comment="Data sheet of the actuator"),
        _properties(),
        *_rules("actuator"),
        comment="Devices that carry out Tasks (OGC 17-079)",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tasking_capability",
        _id(),
        _key(),
        _project(),
        *_described(),
        sa.Column(
            "tasking_parameters", sa.JSON(), nullable=False, comment="What may be asked, in SWE Common"
        ),
        _properties(),
        sa.Column("thing_id", _KEY, nullable=False, comment="Of which Thing"),
        sa.Column("actuator_id", _KEY, nullable=False, comment="What carries it out"),
        _foreign("tasking_capability", "thing_id", "thing"),
        _foreign("tasking_capability", "actuator_id", "actuator"),
        *_rules("tasking_capability"),
        comment="What may be asked of Things (OGC 17-079)",
        sqlite_autoincrement=True,
    )
    _task()
    for table, names in (
        ("actuator", ()),
        ("tasking_capability", ("thing_id", "actuator_id")),
        ("task", ("tasking_capability_id",)),
    ):
        for name in ("project_id", *names):
            op.create_index(op.f(f"ix_{table}_{name}"), table, [name])


def _task() -> None:
    op.create_table(
        "task",
        _id(),
        _key(),
        _project(),
        sa.Column("creation_ns", sa.BigInteger(), nullable=False, comment="When it was asked"),
        sa.Column(
            "tasking_parameters",
            sa.JSON(),
            nullable=False,
            comment="What is asked, by the names of its capability's parameters",
        ),
        *_texts(("status", "requested, dispatched, acknowledged, rejected, failed, completed")),
        sa.Column("run_log", sa.JSON(), nullable=False, comment="What became of it, with the instants"),
        _properties(),
        sa.Column("tasking_capability_id", _KEY, nullable=False, comment="Which capability is asked for"),
        _foreign("task", "tasking_capability_id", "tasking_capability"),
        *_rules("task"),
        comment="What was asked of Things (OGC 17-079, with the status of SensorThings 2.0)",
        sqlite_autoincrement=True,
    )


def _log() -> None:
    """What a crash between the catalogue and the log must not undo."""
    op.create_table(
        "intent",
        _id(),
        sa.Column("content", sa.LargeBinary(), nullable=False, comment="The event, as the log takes it"),
        sa.Column("made", sa.Integer(), nullable=False, comment="How many Observations it makes"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_intent")),
        comment="What the log must still be told, written with the change of entities that asks for it",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "drafted",
        sa.Column(
            "sequence",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Log position of the message",
        ),
        sa.Column("datastream_id", sa.BigInteger(), nullable=False, comment="Whose Observation it is"),
        sa.Column(
            "message", sa.LargeBinary(), nullable=False, comment="The Observation, its relations by number"
        ),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_drafted")),
        comment="Messages for which entities were made, so that a replay of the log finds them",
    )


def _rules(table: str) -> list[sa.Constraint]:
    return [
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sa.UniqueConstraint("project_id", "key", name=op.f(f"uq_{table}_project_id_key")),
    ]
