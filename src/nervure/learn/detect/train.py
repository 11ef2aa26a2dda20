"""The training loop of detection's nets: a budget in CPU seconds, the best weights by validation kept.

Whoever trains says how large the loss of some examples is; everything else is done here, once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nervure.core.error import ModelError

__all__ = ["Effort", "Run", "train"]

Longs = NDArray[np.int64]
Loss = Callable[[Longs], Tensor]
Judge = Callable[[], float]
_WARM = 10  # steps before their pace is trusted


class Effort(msgspec.Struct, frozen=True, kw_only=True):
    """How hard to train: at most ``cpu_s`` CPU seconds and ``epochs`` passes, in batches of ``batch``.

    The rate rises to ``rate`` over the first tenth and falls to nothing by a cosine (Smith & Topin,
    2019). Training ends early once ``patience`` judgements in a row were no better.
    """

    cpu_s: float = 60.0
    epochs: float = 30.0
    batch: int = 128
    rate: float = 2e-3
    decay: float = 1e-4
    judgements: int = 20
    patience: int = 6
    clip: float = 1.0


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What training came to: steps done, CPU seconds, the judgements in their order, the best of them."""

    steps: int
    cpu_s: float
    judged: tuple[float, ...]
    best: float


def train(
    module: nn.Module,
    count: int,
    loss: Loss,
    judge: Judge,
    *,
    effort: Effort | None = None,
    weight: NDArray[np.float64] | None = None,
    seed: int = 0,
) -> Run:
    """Train a module on ``count`` examples and leave it with the weights that were judged best.

    ``loss(index [batch])`` is the loss of those examples; ``judge()`` is what is to be small, on
    examples that are not trained on, with the module in evaluation. ``weight [count]`` draws examples in
    that proportion, else each comes once an epoch. ``ModelError`` where nothing finite came of it.
    """
    effort = effort or Effort()
    started = time.process_time()
    torch.manual_seed(seed)
    batch = min(effort.batch, count)
    total = max(1, int(effort.epochs * count / batch))
    every = max(1, total // effort.judgements)
    optimizer = torch.optim.AdamW(module.parameters(), lr=effort.rate, weight_decay=effort.decay)
    best, step = _Best(module, judge), 0
    deal = _dealt(np.random.default_rng(seed), count, batch, weight)
    while step < total:
        share = _share(step, total, (time.process_time() - started) / effort.cpu_s)
        if share >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = effort.rate * min(share * 10 + 0.01, 0.5 * (1 + np.cos(np.pi * share)))
        module.train()
        _stepped(module, optimizer, loss(next(deal)), effort.clip)
        step += 1
        if (step % every == 0 or step == total) and best.judged_again() > effort.patience:
            break
    best.restored(unjudged=step % every != 0 and step < total)
    return Run(steps=step, cpu_s=time.process_time() - started, judged=tuple(best.judged), best=best.value)


class _Best:
    """The weights that were judged best so far."""

    def __init__(self, module: nn.Module, judge: Judge) -> None:
        self.module, self.judge = module, judge
        self.judged: list[float] = []
        self.value, self._kept = float(np.inf), _weights(module)
        self._at = 0

    def judged_again(self) -> int:
        """Judge the module as it is now; returns how many judgements ago the best one was."""
        self.module.eval()
        with torch.no_grad():
            found = float(self.judge())
        self.judged.append(found)
        if found < self.value:
            self.value, self._kept, self._at = found, _weights(self.module), len(self.judged)
        return len(self.judged) - self._at

    def restored(self, *, unjudged: bool) -> None:
        """Give the module its best weights; those that nobody has judged yet are judged first."""
        if unjudged or not self.judged:
            self.judged_again()
        if not np.isfinite(self.value):
            raise ModelError(
                "training came to nothing finite", hint="look for huge or constant values in the data"
            )
        self.module.load_state_dict(self._kept)
        self.module.eval()


def _stepped(module: nn.Module, optimizer: torch.optim.Optimizer, cost: Tensor, clip: float) -> None:
    """Move the weights one step down; the cost was computed in training mode."""
    optimizer.zero_grad()
    torch.autograd.backward(cost)
    nn.utils.clip_grad_norm_(module.parameters(), clip)
    optimizer.step()


def _share(step: int, total: int, spent: float) -> float:
    """Return how much of training is over: by steps, and by the clock only where time will run out.

    So long as it will not, the clock has no say, and a seed gives the same weights on any machine.
    """
    late = step >= _WARM and spent * total > step
    return max(step / total, spent) if late or spent >= 1 else step / total


def _weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: one.detach().clone() for name, one in module.state_dict().items()}


def _dealt(
    random: np.random.Generator, count: int, batch: int, weight: NDArray[np.float64] | None
) -> Iterator[Longs]:
    """Deal examples in batches, for ever."""
    share = None if weight is None else weight / weight.sum()
    while True:
        if share is not None:
            yield random.choice(count, size=batch, p=share)
            continue
        order = random.permutation(count)
        for start in range(0, count - batch + 1, batch):
            yield order[start : start + batch]
