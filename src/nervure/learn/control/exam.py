"""How well a net decides, without chance, on the same few episodes every time: which one to keep."""

from __future__ import annotations

import copy
import time

import numpy as np
import torch

from nervure.learn.control.net import PhaseNet, padded
from nervure.learn.control.street import Street

__all__ = ["Exam"]

_SEEDS = (9_000_001, 9_000_003)
_EVERY = 0.1  # of the budget
_REST = 3.0  # times as long as an exam took is learned before the next, at least: streets may be large


class Exam:
    """Keeps the best of the nets it is shown; the one that training began with is the first."""

    def __init__(self, street: Street, net: PhaseNet, budget_s: float) -> None:
        self._street, self._budget_s = street, budget_s
        self.begun = time.process_time()
        self.best, self.score = copy.deepcopy(net), self._of(net)
        self._last = self._took = self.spent

    @property
    def spent(self) -> float:
        """How much of the budget of processor seconds is spent, 0 to 1 and beyond."""
        return (time.process_time() - self.begun) / self._budget_s

    def show(self, net: PhaseNet) -> None:
        """Examine a net, if the last time is long enough ago."""
        begun = self.spent
        if begun - self._last < max(_EVERY, _REST * self._took):
            return
        score = self._of(net)
        if score > self.score:
            self.best, self.score = copy.deepcopy(net), score
        self._last = self.spent
        self._took = self._last - begun

    def _of(self, net: PhaseNet) -> float:
        phases, total = max(self._street.phases), []
        for seed in _SEEDS:
            views = self._street.reset(seed)
            for _ in range(self._street.steps):
                x, there = padded([torch.from_numpy(one) for one in views], phases)
                with torch.inference_mode():
                    choice = net(x, there).argmax(dim=1).numpy()
                views, reward = self._street.step(choice)
                total.append(float(reward.mean()))
        return float(np.mean(total))
