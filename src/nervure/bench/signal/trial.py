"""A process that does one job of signal control: what it is told on stdin, its result at the path it is told.

It never loads pyarrow, beside which libsumo cannot live.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from nervure.act.controller.api import Controller
from nervure.act.controller.greedy import GreedyQueue
from nervure.act.controller.pressure import MaxPressure
from nervure.act.controller.shield import Shield
from nervure.act.controller.webster import Webster
from nervure.bench.forecast.job import write
from nervure.bench.signal.job import LEARNED, PLANS, Job, Kept, Run
from nervure.bench.signal.lesson import TwinStreet
from nervure.bench.signal.plan import code_of
from nervure.bench.signal.street import drive
from nervure.core.error import UsageError
from nervure.core.junction import Junction
from nervure.trust.signature import SigningKey, trusted
from nervure.twin.fault import mixed
from nervure.twin.roads import Roads

__all__ = ["main", "perform"]

Make = Callable[[tuple[Junction, ...]], Controller]
_EVERY_S = {"Webster": 5.0}


class _Starve:
    """A policy that shows one phase for ever, as far as a junction has it."""

    def __init__(self, junctions: Sequence[Junction], phase: int) -> None:
        self.name, self.every_s = f"starve {phase}", 10.0
        self._commands = {one.command: float(min(phase, len(one.phases) - 1)) for one in junctions}

    def decide(self, seen: Mapping[str, float], now_s: float) -> Mapping[str, float]:
        """Return the same as ever."""
        return self._commands


def _maker(job: Job) -> Make | None:
    """Return what makes the controller of a job for junctions; None for the plans of the net itself."""
    if job.controller in PLANS:
        return None
    inner = _inner(job)
    return (lambda junctions: Shield(inner(junctions), junctions)) if job.shield else inner


def _inner(job: Job) -> Make:
    if job.controller.startswith("starve "):
        phase = int(job.controller.removeprefix("starve "))
        return lambda junctions: _Starve(junctions, phase)
    if job.controller in LEARNED:
        from nervure.act.controller.learned import Learned

        model, keys = Path(job.model).read_bytes(), trusted(Path(job.model).parent)
        return lambda junctions: Learned(model, keys, junctions)
    rules: dict[str, Make] = {"Webster": Webster, "greedy queue": GreedyQueue, "max-pressure": MaxPressure}
    if job.controller not in rules:
        raise UsageError(f"there is no controller {job.controller!r}", hint=f"there are {', '.join(rules)}")
    return rules[job.controller]


def perform(job: Job) -> Kept:
    """Do a job in this process."""
    plan = job.controller if job.controller in PLANS else "fixed"
    twin = Roads(job.net, plan=plan, step_s=_EVERY_S.get(job.controller, 10.0))
    try:
        return _train(job, twin) if job.train_s else Kept(job=job, runs=tuple(_runs(job, twin)))
    finally:
        twin.close()


def _runs(job: Job, twin: Roads) -> list[Run]:
    make = _maker(job)
    names = [one.name for one in twin.describe().sensors if one.signal != "shown"]
    found = []
    for seed in job.seeds:
        faults = mixed(job.faults, names, seed=seed) if job.faults else None
        kpis, controller, ms = drive(
            twin,
            make,
            seed=seed,
            scenario={"demand": job.demand, **dict(job.scenario)},
            faults=faults,
            steps=job.steps,
        )
        verdicts = dict(controller.verdicts) if isinstance(controller, Shield) else {}
        found.append(Run(seed=seed, kpis=dict(kpis), verdicts=verdicts, decide_ms=ms))
    return found


def _train(job: Job, twin: Roads) -> Kept:
    import torch

    from nervure.bench.signal.taught import known, with_taught
    from nervure.learn.control.dqn import DqnRecipe, train_dqn
    from nervure.learn.control.ppo import PpoRecipe, train_ppo
    from nervure.learn.control.ship import ship

    torch.set_num_threads(1)
    street, begun, cpu = TwinStreet(twin, steps=job.steps), time.monotonic(), time.process_time()
    if job.controller == "PPO":
        net = train_ppo(street, PpoRecipe(budget_s=job.train_s), seed=job.seeds[0], tell=_tell)
    else:
        net = train_dqn(street, DqnRecipe(budget_s=job.train_s), seed=job.seeds[0], tell=_tell)
    spent_s, cpu_s = time.monotonic() - begun, time.process_time() - cpu
    path = Path(job.model)
    path.parent.mkdir(parents=True, exist_ok=True)
    key = SigningKey.load_or_create(path.parent)
    name = f"signals {job.net}"
    package = ship(net, name=name, by=job.controller, key=key, train_cpu_s=cpu_s)
    path.write_bytes(with_taught(package, known(street, net), key))
    code = code_of(learning=True)
    return Kept(job=job, train_s=spent_s, train_cpu_s=cpu_s, episodes=street.episodes, code=code)


def _tell(share: float, line: str) -> None:
    sys.stdout.write(f"{share:4.0%} {line}\n")
    sys.stdout.flush()


def main() -> None:
    """Read a request, do its job, write its result."""
    request = msgspec.json.decode(sys.stdin.buffer.read())
    write(Path(request["out"]), perform(msgspec.convert(request["job"], Job)))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # libsumo's threads and torch's end in disorder otherwise
