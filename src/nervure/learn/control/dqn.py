"""Double DQN for signals: all junctions share one net and one memory.

van Hasselt et al., Deep Reinforcement Learning with Double Q-learning, AAAI 2016; what a junction is worth
and what a phase adds to it are learned apart, as in Wang et al., Dueling Network Architectures for Deep
Reinforcement Learning, ICML 2016, as the first is much the larger and is not needed to decide. Not for
junctions whose detectors differ much: the shared net then learns the mean of them.
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
from nervure.learn.control.net import PhaseNet, Worth, padded
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

    def put(
        self, before: Views, choice: NDArray[np.int64], reward: NDArray[np.float32], after: Views
    ) -> None:
        """Remember one step of all junctions."""
        x, there = padded([torch.from_numpy(one) for one in before], self._phases)
        then, _ = padded([torch.from_numpy(one) for one in after], self._phases)
        new = {"x": x, "there": there, "then": then, "choice": torch.from_numpy(choice),
               "reward": torch.from_numpy(reward)}  # fmt: skip
        if not self._rows:
            self._rows = {
                name: torch.zeros(self._size, *one.shape[1:], dtype=one.dtype) for name, one in new.items()
            }
        at = (self._at + torch.arange(len(x))) % self._size
        for name, one in new.items():
            self._rows[name][at] = one
        self._at = int(at[-1]) + 1
        self.filled = min(self._size, self.filled + len(x))

    def draw(self, count: int, random: torch.Generator) -> dict[str, Tensor]:
        """Return some of it by chance."""
        at = torch.randint(self.filled, (count,), generator=random)
        return {name: one[at] for name, one in self._rows.items()}


class _Rating(nn.Module):
    """What each phase is worth, ``[batch, phase]``: its junction's worth, and how far it is from the mean."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.worth = PhaseNet(), Worth()

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """Rate every phase; one that is not there is worth nothing of use."""
        rated = self.net(x, there)
        mean = (rated * there).sum(dim=1) / there.sum(dim=1).clamp(min=1.0)
        return rated + (self.worth(x, there) - mean).unsqueeze(1)  # type: ignore[no-any-return]


class _Learner:
    """The nets that decide, the slow ones they are measured by, and what they have seen."""

    def __init__(self, street: Street, recipe: DqnRecipe, seed: int) -> None:
        torch.manual_seed(seed)
        self._rating = _Rating()
        self._target = copy.deepcopy(self._rating)
        self._optimiser = torch.optim.Adam(self._rating.parameters(), lr=recipe.rate)
        self._memory = _Memory(recipe.memory, max(street.phases))
        self._draw, self._random = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
        self._street, self._recipe = street, recipe

    @property
    def net(self) -> PhaseNet:
        """What decides."""
        return self._rating.net

    def episode(self, seed: int, epsilon: float) -> float:
        """Live through an episode and learn meanwhile; returns its mean reward, exploration included."""
        street, recipe, total = self._street, self._recipe, 0.0
        views = street.reset(seed)
        for step in range(street.steps):
            x, there = padded([torch.from_numpy(one) for one in views], max(street.phases))
            with torch.inference_mode():
                choice = self.net(x, there).argmax(dim=1).numpy()
            odd = self._draw.random(len(choice)) < epsilon
            choice = np.where(odd, self._draw.integers(0, np.array(street.phases)), choice)
            after, reward = street.step(choice)
            self._memory.put(views, choice, reward, after)
            views, total = after, total + float(reward.mean())
            if self._memory.filled >= recipe.first and step % recipe.learn_every == 0:
                self._learn(self._memory.draw(recipe.batch, self._random))
        return total / street.steps

    def _learn(self, some: dict[str, Tensor]) -> None:
        x, then, there = some["x"], some["then"], some["there"]
        with torch.no_grad():
            pick = self.net(then, there).argmax(dim=1, keepdim=True)
            worth = self._target(then, there).gather(1, pick).squeeze(1)
            wanted = some["reward"] + self._recipe.gamma * worth
        rated = self._rating(x, there).gather(1, some["choice"][:, None]).squeeze(1)
        loss = nn.functional.smooth_l1_loss(rated, wanted)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._rating.parameters(), 1.0)
        self._optimiser.step()
        with torch.no_grad():
            for slow, fast in zip(self._target.parameters(), self._rating.parameters(), strict=True):
                slow.lerp_(fast, self._recipe.follow)


def train_dqn(street: Street, recipe: DqnRecipe, *, seed: int = 0, tell: Tell | None = None) -> PhaseNet:
    """Learn ratings of phases until the budget is spent; returns the net that did best in its exams."""
    learner, episode = _Learner(street, recipe, seed), 0
    exam = Exam(street, learner.net, recipe.budget_s)
    while (spent := exam.spent) < 1.0:
        first, last = recipe.explore
        epsilon = first + (last - first) * min(1.0, spent / 0.7)
        score = learner.episode(seed * 10_000 + episode, epsilon)
        exam.show(learner.net)
        episode += 1
        if tell is not None:
            tell(spent, f"episode {episode}, reward {score:.3f}, best {exam.score:.3f}")
    return exam.best
