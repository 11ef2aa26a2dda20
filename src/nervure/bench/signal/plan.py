"""What the evaluation of signal control runs: nets, controllers, circumstances, and the goals of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

import msgspec

from nervure.bench.signal.job import CONTROLLERS, LEARNED, PLANS, Job
from nervure.bench.source import ROOT, meaning, tree_of
from nervure.core.error import UsageError

__all__ = [
    "DEMANDS",
    "FAULTS",
    "GOALS",
    "NETS",
    "QUICK",
    "Wanted",
    "check_nets",
    "code_of",
    "jobs_of",
    "model_of",
    "trainings_of",
]

NETS = ("resco/cologne1", "resco/ingolstadt1", "resco/cologne8", "resco/grid4x4")
GOALS: dict[str, dict[str, float]] = {
    "resco/cologne1": {"wait": 8.5, "delay": 21.0},
    "resco/ingolstadt1": {"wait": 4.3, "delay": 14.0},
    "resco/cologne8": {"delay": 22.0},
    "resco/grid4x4": {"delay": 36.0},
}
"""At most so many seconds of mean wait and delay."""

DEMANDS = (0.8, 1.0, 1.15, 1.3)
FAULTS = (0.0, 0.1, 0.2)
QUICK = "crossing"
_ONE = ("resco/cologne1", "resco/ingolstadt1")  # nets of one junction
_TRAIN_S, _TRAIN_MANY_S = 90.0, 150.0  # processor seconds, of one junction and of several
_SEEDS, _ROBUST, _STARVED = 10, 20, 10
_FIRST = 201  # seeds before were used while rules were written
_STARVE = 3  # phases that a starving policy holds

_RUNNING = (
    *(f"twin/{one}.py" for one in ("api", "ask", "fault", "roads", "scene", "sumo", "survey")),
    *(
        f"act/controller/{one}.py"
        for one in ("greedy", "learned", "package", "pressure", "shield", "webster")
    ),
    *(f"core/{one}.py" for one in ("junction", "sight")),
    *(f"bench/signal/{one}.py" for one in ("job", "street", "trial")),
)
_LEARNING = ("twin/roads.py", "twin/sumo.py", "twin/survey.py", "twin/scene.py", "learn/control",
             "core/junction.py", "core/sight.py", "bench/signal/lesson.py")  # fmt: skip


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done: these nets or all, so many seeds at most (0: all), rough or whole."""

    nets: tuple[str, ...] = ()
    seeds: int = 0
    quick: bool = False
    learned: bool = True


@cache
def code_of(*, learning: bool) -> str:
    """Return the digest of the code that trains, or that runs; comments and layout do not count."""
    total = sha256()
    for name in _LEARNING if learning else _RUNNING:
        path = ROOT / name
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            total.update(meaning(tree_of(file)).encode())
    return total.hexdigest()[:16]


def model_of(net: str, controller: str, folder: Path) -> Path:
    """Return where the file of a learned controller lies."""
    plain = f"{net}-{controller}".replace("/", "-").replace(" ", "-")
    return folder / "model" / f"{plain}-{code_of(learning=True)}.onnx"


def trainings_of(wanted: Wanted, folder: Path) -> tuple[Job, ...]:
    """Return the trainings that the runs need."""
    if not wanted.learned:
        return ()
    return tuple(
        Job(
            net=net, controller=one, seeds=(0,), train_s=_train_s(net) / (60 if wanted.quick else 1),
            model=str(model_of(net, one, folder)), steps=30 if wanted.quick else 0,
        )
        for net in _nets(wanted)
        for one in LEARNED
    )  # fmt: skip


def jobs_of(wanted: Wanted, folder: Path) -> tuple[Job, ...]:
    """Return the runs: every controller; rules under faults and demand; policies that starve somebody."""
    steps = 45 if wanted.quick else 0
    seeds = tuple(range(_FIRST, _FIRST + _at_most(_SEEDS, wanted)))
    some = tuple(range(_FIRST, _FIRST + _at_most(_ROBUST, wanted)))
    few = tuple(range(_FIRST, _FIRST + _at_most(_STARVED, wanted)))
    found: list[Job] = []
    for net in _nets(wanted):  # first what every net is judged by, so that a plan cut short still says that
        found += [
            Job(net=net, controller=one, seeds=seeds, shield=one == "max-pressure", steps=steps)
            for one in (*PLANS, *CONTROLLERS)
        ]
        for one in LEARNED if wanted.learned else ():
            model = str(model_of(net, one, folder))
            found.append(Job(net=net, controller=one, seeds=seeds, model=model, steps=steps))
    for net in _nets(wanted):
        demands, faults = _circumstances(net, wanted)
        for demand in demands:
            found.append(Job(net=net, controller="fixed", seeds=some, demand=demand, steps=steps))
            found += [
                Job(net=net, controller="max-pressure", seeds=some, demand=demand, faults=share, steps=steps)
                for share in faults
            ]
    for net in _nets(wanted):
        found += [
            Job(net=net, controller=f"starve {phase}", seeds=few, steps=steps)
            for phase in range(1 if wanted.quick else _STARVE)
        ]
    return tuple(dict.fromkeys(found))


def _circumstances(net: str, wanted: Wanted) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return demands and shares of faulty detectors; of large nets the corners, as they take long."""
    if wanted.quick:
        return DEMANDS[1:2], FAULTS[-1:]
    return (DEMANDS, FAULTS) if net in _ONE else (DEMANDS[:: len(DEMANDS) - 1], FAULTS[:: len(FAULTS) - 1])


def _train_s(net: str) -> float:
    return _TRAIN_S if net in (*_ONE, QUICK) else _TRAIN_MANY_S


def check_nets(nets: Sequence[str]) -> None:
    """Raise ``UsageError`` for a net that is not part of the evaluation."""
    for one in nets:
        if one not in (*NETS, QUICK):
            raise UsageError(
                f"the evaluation has no net {one!r}", hint=f"there are: {', '.join((*NETS, QUICK))}"
            )


def _nets(wanted: Wanted) -> Iterable[str]:
    check_nets(wanted.nets)
    return wanted.nets or ((QUICK,) if wanted.quick else NETS)


def _at_most(count: int, wanted: Wanted) -> int:
    return min(count, wanted.seeds or (2 if wanted.quick else count))
