"""Double DQN for signals: all junctions share one net and one memory.

van Hasselt et al., Deep Reinforcement Learning with Double Q-learning, AAAI 2016. Not for junctions whose
detectors differ much: the shared net then learns the mean of them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nervure.learn.control.exam import Exam
from nervure.learn.control.net import PhaseNet, padded
from nervure.learn.control.street import Street, Views

__all__ = ["DqnRecipe", "train_dqn"]

Tell = Callable[[float, str], None]


class DqnRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """How it is trained; ``budget_s`` are processor seconds for all of it, episodes in the twin too."""

    budget_s: float = 240.0
    gamma: float = 0.9
    rate: float = 5e-4
    batch: int = 128
    memory: int = 60_000
    explore: tuple[float, float] = (0.3, 0.02)
    learn_every: int = 2
    follow: float = 0.01
    first: int = 500


class _Memory:
    """What happened, oldest forgotten first."""

    def __init__(self, size: int, phases: int) -> None:
        self._size, self._phases, self._at, self.filled = size, phases, 0, 0
        self._x = torch.zeros(0)
        self._rows: dict[str, Tensor] = {}

    def put(self, before: Views, choice: NDArray[np.int64], reward: NDArray[np.float32], after: Views) -> None:
        """Remember one step of all junctions."""
        x, there = padded([torch.from_numpy(one) for one in before], self._phases)
        then, _ = padded([torch.from_numpy(one) for one in after], self._phases)
        new = {"x": x, "there": there, "then": then, "choice": torch.from_numpy(choice),
               "reward": torch.from_numpy(reward)}  # fmt: skip
        if not self._rows:
            self._rows = {name: torch.zeros(self._size, *one.shape[1:], dtype=one.dtype) for name, one in new.items()}
        at = (self._at + torch.arange(len(x))) % self._size
        for name, one in new.items():
            self._rows[name][at] = one
        self._at = int(at[-1]) + 1
        self.filled = min(self._size, self.filled + len(x))

    def draw(self, count: int, random: torch.Generator) -> dict[str, Tensor]:
        """Return some of it by chance."""
        at = torch.randint(self.filled, (count,), generator=random)
        return {name: one[at] for name, one in self._rows.items()}


def train_dqn(street: Street, recipe: DqnRecipe, *, seed: int = 0, tell: Tell | None = None) -> PhaseNet:
    """Learn ratings of phases until the budget is spent; returns the net that did best in its exams."""
    torch.manual_seed(seed)
    draw, random = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    net = PhaseNet()
    exam = Exam(street, net, recipe.budget_s)
    target = copy.deepcopy(net)
    optimiser = torch.optim.Adam(net.parameters(), lr=recipe.rate)
    memory, episode = _Memory(recipe.memory, max(street.phases)), 0
    while (spent := exam.spent) < 1.0:
        first, last = recipe.explore
        epsilon = first + (last - first) * min(1.0, spent / 0.7)
        score = _episode(street, seed * 10_000 + episode, net, memory, (draw, epsilon), target, optimiser,
                         recipe, random)  # fmt: skip
        exam.show(net)
        episode += 1
        if tell is not None:
            tell(spent, f"episode {episode}, reward {score:.3f}, best {exam.score:.3f}")
    return exam.best


def _episode(
    street: Street, seed: int, net: PhaseNet, memory: _Memory, explore: tuple[np.random.Generator, float],
    target: PhaseNet, optimiser: torch.optim.Optimizer, recipe: DqnRecipe, random: torch.Generator,
) -> float:  # fmt: skip
    views, total = street.reset(seed), 0.0
    draw, epsilon = explore
    phases = max(street.phases)
    for step in range(street.steps):
        x, there = padded([torch.from_numpy(one) for one in views], phases)
        with torch.inference_mode():
            choice = net(x, there).argmax(dim=1).numpy()
        odd = draw.random(len(choice)) < epsilon
        choice = np.where(odd, draw.integers(0, np.array(street.phases)), choice)
        after, reward = street.step(choice)
        memory.put(views, choice, reward, after)
        views, total = after, total + float(reward.mean())
        if memory.filled >= recipe.first and step % recipe.learn_every == 0:
            _learn(net, target, memory.draw(recipe.batch, random), optimiser, recipe)
    return total / street.steps


def _learn(
    net: PhaseNet, target: PhaseNet, some: dict[str, Tensor], optimiser: torch.optim.Optimizer, recipe: DqnRecipe
) -> None:
    with torch.no_grad():
        pick = net(some["then"], some["there"]).argmax(dim=1, keepdim=True)
        worth = target(some["then"], some["there"]).gather(1, pick).squeeze(1)
        wanted = some["reward"] + recipe.gamma * worth
    rated = net(some["x"], some["there"]).gather(1, some["choice"][:, None]).squeeze(1)
    loss = nn.functional.smooth_l1_loss(rated, wanted)
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimiser.step()
    with torch.no_grad():
        for slow, fast in zip(target.parameters(), net.parameters(), strict=True):
            slow.lerp_(fast, recipe.follow)
