"""Results of detection are kept by the code that made them: what has a say counts, descriptions do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from nervure.bench import source
from nervure.bench.detect import version
from nervure.bench.detect.board import open_contest
from nervure.bench.detect.job import Contest, Job, Result

FAMILY = '''\
"""A family."""
from nervure.bench.detect.job import Contest, Job, Result
from nervure.toys import model
from nervure.toys.tool import other, used as helper

LIMIT = 3
SAID = "x"

def contests():
    return (Contest(set="toy", title="T", perform=lambda job: perform(job), text=lambda _: say()),)

def perform(job: Job) -> Result:
    """Perform."""
    return Result(job=job, value={"F1": helper(LIMIT) + model.Net().score()})

def say():
    return SAID + other()
'''
TOOL = """\
def used(x):
    return deeper(x)

def deeper(x):
    return x + 1

def other():
    return "y"
"""
MODEL = '''\
"""A model."""

class Base:
    factor = 2

class Net(Base):
    def score(self):
        return self.factor

def unused():
    return 0
'''


@pytest.fixture(name="package")
def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "nervure" / "toys"
    folder.mkdir(parents=True)
    (tmp_path / "nervure" / "__init__.py").write_text("")
    (folder / "__init__.py").write_text("")
    for name, text in (("family", FAMILY), ("tool", TOOL), ("model", MODEL)):
        (folder / f"{name}.py").write_text(text)
    monkeypatch.setattr(source, "ROOT", tmp_path / "nervure")
    return folder


def digest() -> str:
    for one in (source.tree_of, version._module, version._used):
        one.cache_clear()

    def perform(job: Job) -> Result:
        return Result(job=job)

    perform.__module__, perform.__qualname__ = "nervure.toys.family", "contests.<locals>.<lambda>"
    return version.code_of(
        Contest(
            set="toy", title="", question="", protocol="", metrics=("F1",), entries=(), perform=perform
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("family", "LIMIT = 3", "LIMIT = 4"),
        ("family", 'value={"F1"', 'value={"F2"'),
        ("tool", "return x + 1", "return x + 2"),
        ("model", "factor = 2", "factor = 3"),
        ("model", "return self.factor", "return 2 * self.factor"),
    ],
)
def test_what_has_a_say_counts(package: Path, file: str, old: str, new: str) -> None:
    before, path = digest(), package / f"{file}.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert digest() != before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("family", 'SAID = "x"', 'SAID = "z"'),
        ("family", 'title="T"', 'title="Another"'),
        ("family", '"""Perform."""', '"""Perform it."""  # so'),
        ("tool", 'return "y"', 'return "z"'),
        ("model", "return 0", "return 1"),
        ("model", '"""A model."""', '"""The model."""'),
    ],
)
def test_what_describes_does_not(package: Path, file: str, old: str, new: str) -> None:
    before, path = digest(), package / f"{file}.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert digest() == before


def test_real_contests_rest_on_their_models() -> None:
    for one in (source.tree_of, version._module, version._used):
        one.cache_clear()
    contest = open_contest("nervure.bench.detect.life", "fd001")
    found = version.reached(contest.perform.__module__, "_turbofans")
    assert ("nervure.learn.detect.models.rul_tcn", "RulTcn") in found
    assert ("nervure.learn.detect.train", "train") in found
    assert ("nervure.bench.detect.life", "_engines") in found
    assert ("nervure.bench.detect.life", "_told") not in found, "sentences change no figure"
    assert not any("wear" in module for module, _ in found), "nor do other contests"
