"""Every set that detection is measured on, by name: what it asks, and how it is divided and judged.

    parts = open_set("skab")

What an opener returns is told where it is defined; each divides its set as the protocol does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from nervure.core.error import DataError
from nervure.learn.detect import body, machine, stream, structure

__all__ = ["SETS", "Protocol", "open_set"]


class Protocol(msgspec.Struct, frozen=True, kw_only=True):
    """How a set is used: its opener, what it asks, what a split keeps together, and what judges it."""

    open: Callable[[Path | None], Any]
    title: str
    group: str
    split: str
    judged: str


SETS: dict[str, Protocol] = {
    "skab": Protocol(
        open=stream.skab, title="Water circulation testbed, 34 runs at 1 Hz", group="run",
        split="the first 400 rows of a run train, its rest tests",
        judged="F1, false-alarm and missed-alarm rate of points pooled over the runs, no point adjustment",
    ),
    "nab": Protocol(
        open=stream.nab, title="58 streams with labelled windows", group="series",
        split="online, 15 % of a series on probation (750 rows at most)",
        judged="NAB score, three profiles, one threshold for the corpus, found with the labels",
    ),
    "gecco": Protocol(
        open=stream.gecco, title="Drinking-water quality by the minute", group="time",
        split="in time: fit, calibrate, test", judged="point F1, event recall, false alarms a day",
    ),
    "batadal": Protocol(
        open=stream.batadal, title="A water network under attack, hourly", group="part",
        split="train1 (no attack), train2 (some marked), test", judged="S, the mean of S_TTD and S_CM",
    ),
    "canary": Protocol(
        open=stream.canary, title="A water station, 20 min, without labels", group="time",
        split="in time: fit, calibrate, test", judged="alarms a day over those promised",
    ),
    **{
        subset.lower(): Protocol(
            open=partial(machine.cmapss, subset), title=f"Turbofans {subset}", group="engine",
            split="engines as shipped, validation by engine; the last row of each test engine",
            judged="RMSE with the truth clipped at 125 and not clipped, PHM08 score",
        )
        for subset in machine.SUBSETS
    },
    "cwru": Protocol(
        open=machine.cwru, title="20 faulty bearings, 12 kHz", group="bearing",
        split="folds bearing by bearing", judged="macro AUROC of three faults, one against the rest",
    ),
    "pronostia": Protocol(
        open=machine.pronostia, title="14 bearings run to failure", group="bearing",
        split="one bearing left out, or as the challenge cut them",
        judged="RMSE of the remaining life, score of the challenge",
    ),
    "peer": Protocol(
        open=structure.peer, title="A simulated concrete frame, 7 states, 100 ground motions",
        group="ground motion", split="folds by ground motion, with noise, and with a severity never seen",
        judged="macro AUROC, accuracy",
    ),
    "munich": Protocol(
        open=structure.munich, title="A test bridge whose support is lowered three times", group="segment",
        split="reference segments train, the rest in order of time",
        judged="lowerings found with no false alarm in reference segments",
    ),
    "lanl": Protocol(
        open=structure.lanl, title="A three-storey structure, 169 recordings", group="consecutive recordings",
        split="folds by stretches of ten consecutive recordings", judged="AUROC",
    ),
    "mitbih-ds1": Protocol(
        open=partial(body.mitbih, "DS1"), title="Heart beats to train and choose on", group="record",
        split="one record left out", judged="sensitivity and precision of S and V",
    ),
    "mitbih-ds2": Protocol(
        open=partial(body.mitbih, "DS2"), title="Heart beats to report on", group="record",
        split="DS1 trains, DS2 tests", judged="sensitivity and precision of S and V (AAMI EC57)",
    ),
    "sisfall": Protocol(
        open=body.sisfall, title="Falls and daily activities of 38 persons", group="person",
        split="folds person by person",
        judged="sensitivity, specificity, false alarms on the elderly's daily activities",
    ),
}  # fmt: skip


def open_set(name: str, folder: Path | None = None) -> Any:
    """Open a set by name; ``folder`` comes before ``NERVURE_DATA``.

    Raises ``DataError`` where there is no such set, or its files are not here, with what to do.
    """
    if name not in SETS:
        raise DataError(f"there is no set {name!r}", hint=f"there are: {', '.join(SETS)}")
    return SETS[name].open(folder)
