"""The page of the report on safety, from its JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nervure.bench.markdown import table
from nervure.bench.safety.street import BENCH
from nervure.bench.safety.tardy import section
from nervure.bench.safety.verdict import Side, sides

if TYPE_CHECKING:
    from nervure.bench.safety.run import Safety

__all__ = ["page"]

_SHOWN = ("cores", "memory_gb", "system", "python")


def page(found: Safety) -> str:
    """Write the page."""
    parts = [
        "# Is acting safe?",
        "",
        f"Measured on {_machine(found)}. The protocol and its limits: [acting](../act.md).",
        "",
        *(
            f"- {name}: `{command.partition(', load')[0]}`{_load(command)}"
            for name, command in found.commands.items()
        ),
        "",
        *_judge(found),
        *_guard(found),
        *_times(found),
        *_chaos(found),
        *_street(found),
        *section(found.late),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _load(command: str) -> str:
    load = command.partition(", load ")[2]
    return f", at a load of {load}" if load else ""


def _machine(found: Safety) -> str:
    return ", ".join(f"{name} {value}" for name, value in found.machine.items() if name in _SHOWN)


def _judge(found: Safety) -> list[str]:
    if not found.judge:
        return []
    rows = [
        (
            one.kind,
            f"{one.commands:,}",
            f"{one.unsafe:,}",
            f"{one.passed:,}",
            f"{one.violations:,}",
            f"{one.needless:,}",
        )
        for one in found.judge
    ]
    head = ("interlock", "commands", "unsafe by the reference", "let pass", "unsafe let pass", "safe refused")
    return [
        "## The judge beside a plain reference",
        "",
        "Random and hostile commands against one random declaration of the kind and a random past, with",
        "instants at, just before and just after those at which rules turn, and numbers that are none. The",
        "reference shares no code with the judge and looks through the whole past each time.",
        "",
        table(head, rows),
        "",
    ]


def _guard(found: Safety) -> list[str]:
    if not found.guard:
        return []
    rows = [
        (
            one.plant, f"{one.orders:,}", f"{one.taken:,}", f"{one.damaged:,}" if one.damaged else "",
            f"{one.changes:,}",
            f"{sum(one.wrong.values()):,}", f"{one.longest_wait_s:.1f} s" if one.longest_wait_s else "",
            f"{one.trips:,}", f"{one.killed:,}", f"{one.benched:,}" if one.benched else "",
        )
        for one in found.guard
    ]  # fmt: skip
    head = (
        "plant",
        "orders sent",
        "taken",
        "damaged or forged",
        "changes in force",
        "unsafe",
        "longest wait",
        "trips",
        "killed",
        "benched",
    )
    return [
        "## The guard on a hostile wire",
        "",
        "A controller that wants the worst; orders lost, delayed, doubled, reordered, replayed, damaged, and",
        "forged by somebody without the key (each of these last two refused and counted, or it is a fault);",
        "clocks five minutes wrong; inputs stuck, NaN, late and missing; people who take over and give back.",
        "The guard itself is killed and begins again with its memory: trips, hands and benches outlive that.",
        "Each change of what is in force is held against the reference. On the crossing nobody may wait",
        "longer than 45 s, at the four ways 180 s, whatever the controller does; `unsafe` counts that, and",
        "everything else that must not be.",
        "",
        table(head, rows),
        "",
        *(line for one in found.guard for line in _tale(one.tale)),
    ]


def _tale(lines: list[str]) -> list[str]:
    """Show how it came to the first thing that must not be."""
    return ["```", *lines, "```", ""] if lines else []


def _times(found: Safety) -> list[str]:
    rows = []
    if found.decision is not None:
        one = found.decision
        rows.append(("decision, all interlocks declared", one, "5 ms"))
    if found.wire is not None:
        rows.append(("sensor → command in force, by MQTT", found.wire, "100 ms"))
    rows += [(f"of it, {name}", one, "") for name, one in found.ways.items()]
    if not rows:
        return []
    said = [
        (
            name,
            f"{one.count:,}",
            f"{one.p50_ms:g} ms",
            f"{one.p99_ms:g} ms",
            f"{one.most_ms:g} ms",
            f"{one.lost:,}",
            goal,
        )
        for name, one, goal in rows
    ]
    return [
        "## How long it takes",
        "",
        table(("what", "count", "p50", "p99", "longest", "lost", "goal for p99"), said),
        "",
        "The second one is the whole way on a real node with real nats-server: reading, log, a controller",
        "that follows Observations, its Task, the judge, the log of the loop, the order, the guard.",
        "",
    ]


def _chaos(found: Safety) -> list[str]:
    one = found.chaos
    if one is None:
        return []
    back = sorted(one.back_in_control_s)
    rows = [
        ("kills (of the node, of its nats-server alone)", f"{one.kills} ({one.of_node}, {one.of_broker})"),
        ("devices not on their plan within the lease of 2 s", f"{one.late}"),
        ("longest until a device was on its plan", f"{one.longest_back_s:.2f} s"),
        ("changes in force", f"{one.changes:,}"),
        ("of them unsafe by the reference", f"{one.unsafe}"),
        ("longest wait at a crossing (8 s are allowed)", f"{one.longest_wait_s:.2f} s"),
        ("Tasks asked for, orders that guards took", f"{one.asked:,}, {one.taken:,}"),
        ("orders taken that the signed log does not hold", f"{one.not_in_log}"),
        ("lines of signed log, chains broken", f"{one.lines:,}, {one.broken}"),
        ("median until the platform was in control again", f"{back[len(back) // 2]:.1f} s" if back else ""),
    ]
    return [
        "## The platform killed",
        "",
        "Three crossings on one node, over MQTT, with the real guard; two of their clocks are five minutes",
        "wrong. At random instants the node, or its nats-server alone, gets SIGKILL.",
        "",
        table(("what", "found"), rows),
        "",
    ]


def _heard(one: Side) -> str:
    asked = one.orders + one.refused
    return f"{one.orders / asked:.0%}" if asked else ""


def _street(found: Safety) -> list[str]:
    if not found.street:
        return []
    rows = [
        (
            one.net, one.side, f"{one.runs:,}", f"{one.delay_s:.1f} s", f"{one.ratio:.2f}",
            f"{one.worst:.2f}", f"{one.longest_red_s:.0f} s", _heard(one),
            f"{one.kills:,}" if one.kills else "", f"{one.back_s:.1f} s" if one.kills else "",
        )
        for one in sides(found.street)
    ]  # fmt: skip
    head = (
        "net", "who commands", "hours", "delay", "of fixed", "worst", "longest red", "heard", "kills",
        "longest to plan",
    )  # fmt: skip
    return [
        "## Streets behind guards",
        "",
        "Our crossing and RESCO's cologne8 with its eight signals in SUMO, an hour a seed, the judge and the",
        "guard between controller and signal. `starved` asks for the first phase for ever, `starved 1` and",
        "`starved 2` for the second and third: nobody may wait longer than 120 s, and 1.3 times the delay of",
        f"the fixed plan is allowed, as the guard does not hear it for {BENCH} then. `not benched` is the",
        "same guard without that, `shielded` has the shield before the guard. `killed` is max-pressure whose",
        "platform is gone at random instants for one to five minutes: the guard has to be on its plan within",
        "the lease of 20 s, and no hour may have more than 1.1 times the fixed delay. The bench was chosen",
        "on seeds 1 and 2; these are others. Longest red: of any turn of a lane in which somebody stood.",
        "`heard` is which share of the orders the guards took. A phase whose greens others have too need not",
        "be shown. But a guard sees nobody: where an approach is empty for two minutes, and max-pressure has",
        "no use for its phase, it benches max-pressure as well, and the plan has that signal.",
        "",
        table(head, rows),
        "",
    ]
