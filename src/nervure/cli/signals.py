"""``nervure evaluate signals``: rules and learned controllers of signals, and the report on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nervure.cli.output import say, table, write_json
from nervure.cli.progress import progress
from nervure.core.error import UsageError

if TYPE_CHECKING:
    from nervure.bench.signal.document import Document
    from nervure.cli.report import Order

__all__ = ["is_signals", "signals"]

_NAME = "signals"


def is_signals(name: str) -> bool:
    """Return whether a name stands for the evaluation of signal control.

    >>> is_signals("signals"), is_signals("signal")
    (True, False)
    """
    return name == _NAME


def signals(name: str, order: Order, *, json: bool) -> int:
    """Do what is not done yet, and write the report. 1 where something failed.

    ``--sets`` chooses nets, ``--models rules`` leaves the learned controllers out, ``--jobs 0`` does
    nothing and reports on what was done before; what only the report that lies there has is kept, and named.
    """
    from nervure.bench.forecast.rows import newest, this_machine
    from nervure.bench.signal.document import assemble
    from nervure.bench.signal.older import put
    from nervure.bench.signal.plan import NETS, Wanted, jobs_of
    from nervure.bench.signal.run import engine, evaluate

    for option, value in {"--budget": order.budget_s, "--peers-python": order.peers_python}.items():
        if value:
            raise UsageError(f"{option} means nothing for {name}", hint="nervure evaluate --help")
    if order.models not in ((), ("rules",)):
        raise UsageError("--models is 'rules' here, or left out", hint="rules leaves the learned ones out")
    if order.jobs < 0:
        raise UsageError("--jobs must be 1 at least, or 0 for a report of what is done")
    folder = (order.work / _NAME).absolute()
    wanted = Wanted(nets=order.sets, seeds=order.seeds, quick=order.quick, learned=not order.models)
    with progress(f"evaluate {name}") as tell:
        trainings, runs = evaluate(wanted, folder, at_once=order.jobs, tell=tell)
    missing = [one for one in jobs_of(wanted, folder) if one not in {kept.job for kept in runs}]
    full = not (missing or order.seeds or order.quick or order.models) and order.sets in ((), NETS)
    made = newest(folder.glob("*.json"))
    document = assemble(
        trainings, runs, made=made, machine=this_machine(), engine=engine(), full=full, missing=missing
    )
    document = put(document, order.out, fill=not order.jobs)
    if json:
        write_json(document)
    else:
        _tell(document)
        if missing:
            say(f"{len(missing)} jobs are not done yet")
        say(f"wrote {order.out / 'signals.md'} and {order.out / 'signals.json'}")
    return 1 if document.failures else 0


def _tell(document: Document) -> None:
    """Print every row, and how the goals stand."""
    lines = [
        (one.net, one.controller, one.mean["delay"], one.mean["wait"], one.mean["travel"], one.seeds)
        for one in document.rows
    ]
    table(("net", "controller", "delay s", "wait s", "travel s", "seeds"), lines)
    for goal in document.goals:
        met = "met" if goal.met else "missed"
        say(f"goal, {goal.net} {goal.metric} <= {goal.bound:g}: {goal.value:.1f}, {met}")
    for one in document.promotions:
        say(f"{one.net} {one.controller}: {one.gain:+.1%}, {'promoted' if one.promoted else 'not promoted'}")
    for failure in document.failures:
        say(f"failed: {failure.set} {failure.model}: {failure.error}")
