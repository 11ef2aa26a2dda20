"""The ratchet on sizes catches what grows, what is new, and what the list forgot to let go."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tools import ratchet


def _tree(root: Path, name: str, lines: int) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x = 1\n" * lines)


def test_measures_files_methods_and_nested_functions(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text(
        textwrap.dedent(
            """
            class Ring:
                def push(self):
                    def inner():
                        return 1
                    return inner
            """
        )
    )
    assert ratchet.measure(tmp_path) == {
        "src/a.py": 6,
        "src/a.py:Ring.push": 4,
        "src/a.py:Ring.push.inner": 2,
    }


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("src/nervure/node.py", 400),
        ("src/nervure/solutions/air.py", 60),
        ("src/nervure/solutions/__init__.py", 400),
    ],
)
def test_the_bound_is_exact(tmp_path: Path, name: str, most: int) -> None:
    _tree(tmp_path, name, most)
    assert ratchet.judge(ratchet.measure(tmp_path), {}) == []
    _tree(tmp_path, name, most + 1)
    assert ratchet.judge(ratchet.measure(tmp_path), {}) == [f"{name} has {most + 1} lines, more than {most}"]


def test_a_listed_size_may_only_fall() -> None:
    name = "src/a.py"
    assert ratchet.judge({name: 450}, {name: 450}) == []
    assert "grew" in ratchet.judge({name: 451}, {name: 450})[0]
    assert "lower it" in ratchet.judge({name: 449}, {name: 450})[0]
    assert "take it out" in ratchet.judge({}, {name: 450})[0]
