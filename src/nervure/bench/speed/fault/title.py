"""What the cases of faults are called, in the order they are played."""

from __future__ import annotations

__all__ = ["TITLES"]

TITLES = {
    "node": "kill -9 of the node, 10 M rows in the store",
    "broker": "kill -9 of the log server",
    "both": "kill -9 of node and log server at once, 10 M rows in the store",
    "sender": "kill -9 of a sender",
    "postgres": "crash of PostgreSQL",
    "training": "kill -9 of a training that hands over its model",
    "log": "damaged log files",
    "table": "damaged table files and catalogue",
    "stall": "a node stalled for 60 s at 10,000 messages/s",
    "broker-away": "log server away for 60 s",
    "postgres-away": "PostgreSQL away for 60 s",
    "disk": "disk full for 30 s",
    "clock": "clock set by an hour and back",
    "thousand": "1,000 devices at once",
    "flood": "a device at 50,000 messages/s beside others at 1/s",
}
