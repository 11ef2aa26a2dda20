"""Write ``docs/conformance.md``: each requirement of SensorThings, the tests that check it, what is not met.

A test under ``tests/conformance`` says with ``@requirement("…")`` what it checks. What is known not to
be met is a test marked ``xfail`` with its reason; the run fails as soon as that is no longer true.

    python tools/conformance.py
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.conformance.model import KINDS  # noqa: E402
from tests.conformance.requirement import REQUIREMENTS, SENSING, uri  # noqa: E402

__all__ = ["Case", "collect", "main", "page"]

PAGE = ROOT / "docs" / "conformance.md"
_HEAD = """\
# Conformance

What Nervure keeps of OGC SensorThings API 1.1, part 1 Sensing (18-088) and part 2 Tasking Core
(17-079): each requirement with the tests that check it. The tests talk to a node in a process of its
own, by HTTP and MQTT only, and every one of them runs in CI. This page is written by
`python tools/conformance.py`, and a test keeps it true.

Root of the Sensing requirements: `http://www.opengis.net/spec/iot_sensing/1.1/req/`, of the Tasking
requirements: `http://www.opengis.net/spec/iot_tasking/1.0/req/`. Files stand in `tests/conformance/`;
a number is how many test functions there check the requirement, most of them with many cases.
"""
_BEYOND = """\
## Where the standard leaves the choice

- A client may choose the key of an entity by giving a text as `@iot.id`; a number is passed over, the
  service numbers.
- Options that the standard does not name answer 400, those that OData has and Nervure has not answer 501.
- Comparisons of a time with an interval: `lt` and `gt` say that one ends before the other begins, the end
  of an interval is not in it.
- A POST of an Observation without FeatureOfInterest, whose Thing has no Location, answers 400. From MQTT
  it is taken without one.
- A change set of a batch, and a group of requests in JSON, is done whole or not at all.
- A topic to subscribe to may carry `$select` and no other option; a new Observation says nothing on the
  topic of its Datastream.
"""


class Case(NamedTuple):
    """A test: its file, its name, the requirements it checks, and why it is expected to fail."""

    file: str
    name: str
    requirements: tuple[str, ...]
    unmet: str | None


def collect(folder: Path) -> list[Case]:
    """Return the tests of a folder that name a requirement."""
    found: list[Case] = []
    for path in sorted(folder.glob("test_*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        named = _shared(tree)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                uris = tuple(sorted({one for mark in node.decorator_list for one in _uris(mark, named)}))
                if not uris:
                    raise SystemExit(f"{path.name}: {node.name} names no requirement")
                found.append(Case(path.name, node.name, uris, _unmet(node.decorator_list)))
    return found


def _shared(tree: ast.Module) -> dict[str, list[str]]:
    """Return the names of a module that stand for a mark, or for cases of which each has its own."""
    found: dict[str, list[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            inside = [one for part in ast.walk(node.value) for one in _direct(part)]
            found[node.targets[0].id] = inside + _by_kind(node.value, tree)
    return found


def _direct(node: ast.AST) -> list[str]:
    """Return what ``requirement("a", "b")`` names."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "requirement"):
        return []
    return [
        uri(one.value) for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)
    ]


def _by_kind(node: ast.AST, tree: ast.Module) -> list[str]:
    """Return what ``requirement(f"{_SHORT[kind.name]}/relations")`` names, for every kind."""
    tails = [
        str(last.value)
        for one in ast.walk(node)
        if isinstance(one, ast.JoinedStr) and isinstance(last := one.values[-1], ast.Constant)
    ]
    marked = any(isinstance(one, ast.Name) and one.id == "requirement" for one in ast.walk(node))
    short = next(
        (
            ast.literal_eval(one.value)
            for one in tree.body
            if isinstance(one, ast.Assign)
            and isinstance(one.targets[0], ast.Name)
            and one.targets[0].id == "_SHORT"
        ),
        None,
    )
    return [uri(f"{short[kind.name]}{tail}") for tail in tails for kind in KINDS] if marked and short else []


def _uris(mark: ast.expr, named: dict[str, list[str]]) -> Iterator[str]:
    yield from _direct(mark)
    for part in ast.walk(mark):
        if isinstance(part, ast.Name):
            yield from named.get(part.id, ())


def _unmet(marks: Sequence[ast.expr]) -> str | None:
    for mark in marks:
        for part in ast.walk(mark):
            if (
                isinstance(part, ast.Call)
                and isinstance(part.func, ast.Attribute)
                and part.func.attr == "xfail"
            ):
                given = [word.value for word in part.keywords if word.arg == "reason"]
                return str(ast.literal_eval(given[0])) if given else "see the test"
    return None


def page(cases: Sequence[Case]) -> str:
    """Return the page."""
    sensing = [one for one in REQUIREMENTS if one.startswith(SENSING)]
    tasking = [one for one in REQUIREMENTS if not one.startswith(SENSING)]
    unmet = [f"- `{case.file}`, {case.name.replace('_', ' ')}: {case.unmet}" for case in cases if case.unmet]
    return "\n".join(
        [
            _HEAD,
            f"{len(cases)} test functions check {len(REQUIREMENTS)} requirements.",
            *_table("Sensing", sensing, cases),
            *_table("Tasking", tasking, cases),
            "",
            "## Not met",
            "",
            *(unmet or ["Nothing that is known."]),
            "",
            _BEYOND,
        ]
    )


def _table(title: str, requirements: Sequence[str], cases: Sequence[Case]) -> list[str]:
    rows = [_row(one, [case for case in cases if one in case.requirements]) for one in requirements]
    return ["", f"## {title}", "", "| requirement | checked in | met |", "|---|---|---|", *rows]


def _row(one: str, cases: Sequence[Case]) -> str:
    files: dict[str, int] = {}
    for case in cases:
        files[case.file] = files.get(case.file, 0) + 1
    where = ", ".join(
        f"{name.removeprefix('test_').removesuffix('.py')} {count}" for name, count in files.items()
    )
    short = "/".join(one.split("/req/")[1].split("/"))
    unmet = sum(case.unmet is not None for case in cases)
    met = "not checked" if not cases else "yes" if not unmet else f"but for {unmet}"
    return f"| `{short}` | {where} | {met} |"


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(collect(ROOT / "tests" / "conformance")), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
