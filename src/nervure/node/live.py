"""One solution on the live stream: its rules, and the models that score for it, one a problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from nervure.act.engine import Engine
from nervure.core.declaration import Solution
from nervure.core.observation import Batch
from nervure.core.problem import Anomaly, Case, Forecast
from nervure.score.assessor import Assessor
from nervure.score.scorer import Scored, Scorer

__all__ = ["Live", "Part", "Saved", "Standing"]

_PLAIN = ""  # the scorer of a solution that has no model yet: its rules on readings hold all the same


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A scorer in a snapshot: its model's version, and how many bytes of state lie in pieces beside it."""

    version: str
    size: int


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """What a solution needs to go on after a restart, its scorers by problem."""

    engine: bytes
    scorers: dict[str, Part] = {}


class Standing(msgspec.Struct, frozen=True):
    """How a solution stands when others take it over: the state of its rules, those of scorers by problem."""

    engine: bytes
    scorers: dict[str, tuple[bytes, ...]]


class Live:
    """A solution's rules and scorers; ``versions`` says which model each problem has."""

    def __init__(self, solution: Solution, engine: Engine, plain: Scorer) -> None:
        self.solution = solution
        self.engine = engine
        self.versions: dict[str, str] = {}
        self._scorers: dict[str, Scorer | Assessor] = {_PLAIN: plain}

    @property
    def problems(self) -> list[str]:
        """The problems that a model scores, forecasts first whose errors an anomaly is told by."""
        judged = {one.residual for one in self.solution.problems if isinstance(one, Anomaly)}
        found = [one.name for one in self.solution.problems if isinstance(one, Forecast)]
        whole = [one.name for one in self.solution.problems if isinstance(one, Case)]
        return sorted(found, key=lambda name: name not in judged) + whole

    @property
    def scorers(self) -> list[Scorer | Assessor]:
        """Those that score, in the order of their problems: what the first says of a reading stands."""
        return list(self._scorers.values())

    def put(self, problem: str, scorer: Scorer | Assessor, version: str) -> None:
        """Let a model score a problem, in the place of the one before."""
        if isinstance(scorer, Scorer):
            self._scorers.pop(_PLAIN, None)
        self._scorers[problem] = scorer
        order = (_PLAIN, *self.problems)
        self._scorers = {name: self._scorers[name] for name in order if name in self._scorers}
        self.versions[problem] = version

    def take(self, batch: Batch) -> Scored:
        """Score a batch with every model; a reading has one finding, whoever made it."""
        scored = [one.take(batch) for one in self._scorers.values()]
        if len(scored) == 1:
            return scored[0]
        others = [one.findings for one in scored[1:] if len(one.findings)]
        first = scored[0].findings.overlaid(others) if others else scored[0].findings
        asked = [one.model_name for one in self._scorers.values() if isinstance(one, Assessor)]
        if asked and not first.model:
            first = msgspec.structs.replace(first, model=", ".join(asked))
        return Scored(
            packs=[pack for one in scored for pack in one.packs],
            findings=first,
            words=[word for one in scored for word in one.words],
        )

    def states(self) -> dict[str, bytes]:
        """Return the state of every scorer, by the name under which it is kept."""
        return {self._key(problem): one.state() for problem, one in self._scorers.items()}

    def saved(self, states: Mapping[str, bytes]) -> Saved:
        """Return the snapshot that goes with these states."""
        parts = {
            problem: Part(version=self.versions.get(problem, ""), size=len(states[self._key(problem)]))
            for problem in self._scorers
        }
        return Saved(engine=self.engine.state(), scorers=parts)

    def restore(self, saved: Saved, joined: Callable[[str, int], bytes]) -> None:
        """Take up a snapshot; a scorer of another model version stays as it was filled from the store.

        ``joined(name, size)`` puts a state together.
        """
        self.engine.restore(saved.engine)
        for problem, scorer in self._scorers.items():
            part = saved.scorers.get(problem)
            if part is not None and part.version == self.versions.get(problem, ""):
                scorer.restore(joined(self._key(problem), part.size))

    def begin(self, before: Standing) -> None:
        """Go on with the rules where others stood; scorers of models have to be filled from the store."""
        self.engine.restore(before.engine)
        for state in before.scorers.get(_PLAIN, ()):
            self._scorers[_PLAIN].restore(state)

    def _key(self, problem: str) -> str:
        return f"{self.solution.name}:{problem}"
