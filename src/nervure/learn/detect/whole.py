"""Models about whole Things as they are shipped: one module from a window to answers, ``x`` to ``y``.

What is learnt comes from recordings of the train part; margins and limits come from the validation
part. Neither sees the test part. All of it is inside the module, so that the file needs nothing beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nervure.core.case import asked, channels, cut
from nervure.core.declaration import Rule, Solution, condition
from nervure.core.error import DataError, DeclarationError
from nervure.core.problem import Case, Classify, RemainingLife
from nervure.learn.detect.block import Block
from nervure.learn.detect.casenet import CaseNet, Cases
from nervure.learn.detect.lifeblend import Calibrated, cuts, widening
from nervure.learn.detect.lifenet import LEVELS, LifeModule, LifeNet
from nervure.learn.detect.models.fall_cnn import FallCnn
from nervure.learn.detect.models.rul_lstm import RulLstm
from nervure.learn.detect.models.rul_tcn import RulTcn
from nervure.learn.detect.models.vibration_cnn import Bank, VibrationCnn
from nervure.learn.detect.record import Record
from nervure.learn.detect.train import Effort

__all__ = ["Fit", "Windows", "alarms", "fit", "plain", "windows"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Singles = NDArray[np.float32]

LIVES: dict[str, type[LifeNet]] = {"rul_tcn": RulTcn, "rul_lstm": RulLstm}
_EFFORT_LIFE = Effort(epochs=4.0, batch=256, rate=4e-3, judgements=1)  # chosen on engines that validate
_PATCH = 10
_CHUNK = 256


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """A fitted model: its module ``x [batch, time, channel]`` to ``y [batch, answer]``, and what it took."""

    name: str
    module: nn.Module
    parameters: int
    cpu_s: float

    def answer(self, x: Singles) -> Singles:
        """Answer by torch, some windows at a time."""
        module = self.module.eval()
        with torch.inference_mode():
            some = (torch.from_numpy(x[start : start + _CHUNK].copy()) for start in range(0, len(x), _CHUNK))
            return np.concatenate([module(one).numpy() for one in some])


class Windows(msgspec.Struct, frozen=True, kw_only=True):
    """The windows of recordings that are asked about: ``x [window, time, channel]``.

    ``record [window]`` is the place of its recording, ``sure [window]`` whether the recording's truth
    holds of it.
    """

    x: Singles
    record: Longs
    sure: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.record)


def windows(problem: Case, found: Sequence[Record], length: int) -> Windows:
    """Cut the windows of recordings as live scoring does; of a machine the one at its last row."""
    wanted = channels(problem)
    xs, places, sure = [], list[int](), list[bool]()
    for place, one in enumerate(found):
        value = _ordered(one.block, wanted)
        if isinstance(problem, RemainingLife):
            last = np.array([len(value) - 1])
        else:
            last = asked(problem, value, length)
        if not len(last):
            continue
        x = cut(value, last, length)
        xs.append(x)
        places += [place] * len(x)
        sure += [True] * len(x) if one.whole else _strongest(problem, x)
    if not xs:
        raise DataError("no window of the recordings is worth asking about", hint="let less wake it")
    return Windows(x=np.concatenate(xs), record=np.array(places), sure=np.array(sure))


def _ordered(block: Block, wanted: tuple[str, ...]) -> Floats:
    """Return a recording's values in the order of the problem's channels."""
    missing = [one for one in wanted if one not in block.channels]
    if missing:
        raise DataError(
            f"{block.name} has no channel {missing[0]!r}", hint=f"it has {', '.join(block.channels)}"
        )
    return block.value[:, [block.channels.index(one) for one in wanted]]


def _strongest(problem: Case, x: Singles) -> list[bool]:
    if not isinstance(problem, Classify):
        return [True] * len(x)
    place = [problem.of.index(name) for name in problem.wake.of]
    level = (x[:, x.shape[1] // 2, place] ** 2).sum(axis=1)
    return [at == int(level.argmax()) for at in range(len(x))]


def fit(
    solution: Solution,
    problem: Case,
    sides: tuple[Sequence[Record], Sequence[Record]],
    length: int,
    *,
    seed: int,
    effort: Effort | None,
    budget_s: float,
) -> Fit:
    """Learn from recordings of the train part, and set margins and limits by those that validate."""
    if isinstance(problem, RemainingLife):
        return _fit_life(problem, sides, seed=seed, effort=effort, budget_s=budget_s)
    return _fit_class(solution, problem, sides, length, seed=seed, effort=effort, budget_s=budget_s)


def plain(problem: RemainingLife, found: Sequence[Record]) -> list[Block]:
    """Return the recordings of machines without the row's number, which must count from 1."""
    made = []
    for one in found:
        value = _ordered(one.block, channels(problem))
        if not np.array_equal(value[:, -1], np.arange(1, len(value) + 1)):
            raise DataError(
                f"{one.block.name}: {problem.age!r} does not count its rows from 1",
                hint="give runs from new on; leave others out",
            )
        names = channels(problem)[:-1]
        made.append(msgspec.structs.replace(one.block, channels=names, value=value[:, :-1]))
    return made


class _Held(nn.Module):
    """A net of remaining lives whose outer quantiles are moved so that they hold as often as they promise."""

    edges: Tensor
    add: Tensor

    def __init__(self, inner: LifeModule, margin: Calibrated, top: float) -> None:
        super().__init__()
        self.inner, self.top = inner, top
        self.register_buffer("edges", torch.from_numpy(margin.edges.astype(np.float32)))
        self.register_buffer("add", torch.from_numpy(margin.add.astype(np.float32)))

    def forward(self, x: Tensor) -> Tensor:
        life, quantile = self.inner(x)
        place = (life[:, None] >= self.edges).long().sum(dim=1)
        add = self.add[place]
        middle = quantile[:, 1:-1]
        low = torch.minimum(quantile[:, :1] - add[:, None], middle[:, :1])
        high = torch.maximum(quantile[:, -1:] + add[:, None], middle[:, -1:])
        return torch.cat([low, middle, high], dim=1).clamp(0.0, self.top)


def _fit_life(
    problem: RemainingLife,
    sides: tuple[Sequence[Record], Sequence[Record]],
    *,
    seed: int,
    effort: Effort | None,
    budget_s: float,
) -> Fit:
    kind = LIVES.get(problem.model)
    if kind is None:
        raise DeclarationError(
            f"no model of remaining lives is called {problem.model!r}", hint=f"there are: {', '.join(LIVES)}"
        )
    if problem.quantiles != LEVELS:
        raise DeclarationError(f"models of remaining lives tell the quantiles {LEVELS}", where="$.quantiles")
    train, held = (plain(problem, side) for side in sides)
    patch = max(one for one in range(1, _PATCH + 1) if problem.window % one == 0)
    net = kind(
        problem.window, patch, clip=problem.clip, settings=len(problem.settings), seed=seed,
        effort=effort or msgspec.structs.replace(_EFFORT_LIFE, cpu_s=budget_s),
    ).fit(train)  # fmt: skip
    shown, left, _ = cuts(held, clip=problem.clip, seed=0)
    margin = widening(net.final(shown), left, problem.quantiles[-1] - problem.quantiles[0])
    if net.module is None or net.run is None:
        raise DataError("nothing came of the training")
    return Fit(
        name=net.name,
        module=_Held(net.module, margin, problem.clip),
        parameters=sum(one.numel() for one in net.module.parameters()),
        cpu_s=net.run.cpu_s,
    )


class _Told(nn.Module):
    """A net of cases that fills what was not read, and answers classes in the order of the problem.

    ``bias [class]`` moves the point at which classes are equally likely.
    """

    order: Tensor
    bias: Tensor

    def __init__(self, inner: nn.Module, order: Sequence[int], bias: Floats) -> None:
        super().__init__()
        self.inner = inner
        self.register_buffer("order", torch.tensor(list(order)))
        self.register_buffer("bias", torch.from_numpy(bias.astype(np.float32)))

    def forward(self, x: Tensor) -> Tensor:
        missing = torch.isnan(x)
        read = torch.where(missing, torch.zeros_like(x), x)
        mean = read.sum(dim=1, keepdim=True) / (~missing).float().sum(dim=1, keepdim=True).clamp(min=1)
        filled = torch.where(missing, mean.expand_as(x), x)
        logit: Tensor = self.inner(filled, x.new_zeros(x.shape[0], 0))[:, self.order] + self.bias
        return torch.softmax(logit, dim=1)


def _net(problem: Classify, length: int, *, seed: int, effort: Effort | None, budget_s: float) -> CaseNet:
    match problem.model:
        case "fall_cnn":
            return FallCnn(
                seed=seed, effort=effort or msgspec.structs.replace(FallCnn.effort, cpu_s=budget_s)
            )
        case "vibration_cnn":
            width = min(512, length // 2)
            bank = Bank(count=96, width=width, hop=max(1, width // 4), spread=0.3)
            own = Effort(cpu_s=budget_s, epochs=30, batch=32, rate=2e-3, decay=1e-2)
            return VibrationCnn(bank=bank, noise=0.1, seed=seed, effort=effort or own)
    raise DeclarationError(
        f"no model of classes is called {problem.model!r}", hint="there are: fall_cnn, vibration_cnn"
    )


def _fit_class(
    solution: Solution,
    problem: Classify,
    sides: tuple[Sequence[Record], Sequence[Record]],
    length: int,
    *,
    seed: int,
    effort: Effort | None,
    budget_s: float,
) -> Fit:
    train, held = sides
    shown = windows(problem, train, length)
    truth = np.array([train[place].truth for place in shown.record[shown.sure].tolist()])
    unknown = sorted({one.truth for one in (*train, *held)} - set(problem.classes))
    if unknown or set(truth.tolist()) != set(problem.classes):
        absent = sorted(set(problem.classes) - set(truth.tolist()))
        raise DataError(
            f"{problem.name}: the recordings' classes are not those declared:"
            f" {', '.join([*(f'{one} is new' for one in unknown), *(f'{one} is missing' for one in absent)])}"
        )
    net = _net(problem, length, seed=seed, effort=effort, budget_s=budget_s).fit(
        Cases(shown.x[shown.sure]), truth
    )
    if net.module is None or net.run is None:
        raise DataError("nothing came of the training")
    order = [net.classes.index(one) for one in problem.classes]
    made = Fit(
        name=net.name,
        module=_Told(net.module, order, np.zeros(len(order))),
        parameters=sum(one.numel() for one in net.module.parameters()),
        cpu_s=net.run.cpu_s,
    )
    bias = _bias(solution, problem, made, held, length)
    return msgspec.structs.replace(made, module=_Told(net.module, order, bias))


def alarms(solution: Solution, problem: Classify) -> list[tuple[Rule, Longs, float, bool]]:
    """Return the rules on a class: the rule, the places of its classes, its limit, whether above it."""
    found = []
    for rule in solution.rules:
        read = condition(rule.when)
        if rule.problem == problem.name and read.measure == "share" and read.limit is not None:
            of = [problem.classes.index(one) for one in rule.of or problem.classes]
            found.append((rule, np.array(of), read.limit, read.above))
    return found


def _bias(solution: Solution, problem: Classify, made: Fit, held: Sequence[Record], length: int) -> Floats:
    """Return by how much logits move so that a rule's limit is where its errors are balanced.

    Of two classes only, and where a rule rings above a limit: the limit is the one at which the worse
    of sensitivity and specificity of the validating recordings is best (nearest to the rule's).
    """
    bias = np.zeros(len(problem.classes))
    rules = [one for one in alarms(solution, problem) if one[3] and len(one[1]) == 1]
    if len(problem.classes) != 2 or not rules:
        return bias
    _, of, wanted, _ = rules[0]
    odd = int(of[0])
    cut_ = windows(problem, held, length)
    score = np.zeros(len(held))
    np.maximum.at(score, cut_.record, made.answer(cut_.x)[:, odd].astype(np.float64))
    label = np.array([one.truth == problem.classes[odd] for one in held])

    def worse(at: float) -> float:
        rung = score > at
        return min(float(rung[label].mean()), float((~rung[~label]).mean())) - 1e-3 * abs(at - wanted)

    tried: list[float] = np.linspace(0.02, 0.98, 97).tolist()
    best = max(tried, key=worse)
    bias[odd] = np.log(wanted / (1 - wanted)) - np.log(best / (1 - best))
    return bias
