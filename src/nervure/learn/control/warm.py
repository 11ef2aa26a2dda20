"""Double DQN for heating and cooling: all zones share one net and one memory, and each pays for its own heat.

van Hasselt et al., Deep Reinforcement Learning with Double Q-learning, AAAI 2016; for buildings so: Wei, Wang
& Zhu, Deep Reinforcement Learning for Building HVAC Control, DAC 2017. Beside a plan over a learned model
(:mod:`nervure.act.controller.climate`) it needs a twin to learn in, years of it, and does not plan. Not for a
house that is far from those it was taught in.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nervure.core.card import Card, Channel
from nervure.core.hearth import CHOICES, FEATURES
from nervure.core.instant import SECOND_NS, iso, to_ns
from nervure.core.problem import Control
from nervure.learn.control.ship import pack
from nervure.trust.signature import SigningKey

__all__ = ["Home", "WarmNet", "WarmRecipe", "ship_warm", "train_warm"]

Views = NDArray[np.float32]
Tell = Callable[[float, str], None]
_EXAMS = (9_000_001, 9_000_002, 9_000_003)


class Home(Protocol):
    """A house to learn in; who has a twin makes one of it."""

    @property
    def steps(self) -> int:
        """How many decisions an episode has."""
        ...

    def reset(self, seed: int) -> Views:
        """Start an episode; return what is told, ``[zone, feature]``."""
        ...

    def step(self, choice: NDArray[np.int64]) -> tuple[Views, NDArray[np.float32]]:
        """Choose for every zone; return what is told then, and rewards, ``[zone]``."""
        ...


class WarmRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """How it is trained; ``budget_s`` are processor seconds for all of it, episodes in the twin too."""

    budget_s: float = 400.0
    most: int = 1_000_000
    """How many episodes at most."""
    gamma: float = 0.98
    rate: float = 5e-4
    batch: int = 128
    memory: int = 100_000
    explore: tuple[float, float] = (0.5, 0.03)
    learn_every: int = 2
    follow: float = 0.01
    first: int = 1_000
    exam_every: float = 0.08


class WarmNet(nn.Module):
    """``x [batch, feature]`` to a rating of every choice, ``[batch, choice]``; sized for a house's zones."""

    def __init__(
        self, width: int = 64, *, features: int = len(FEATURES), choices: int = len(CHOICES)
    ) -> None:
        super().__init__()
        self.features, self.choices = features, choices
        self.inner = nn.Sequential(nn.Linear(features, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.worth, self.better = nn.Linear(width, 1), nn.Linear(width, choices)

    def forward(self, x: Tensor) -> Tensor:
        """Rate every choice: worth of being here, and by how much each choice is better (dueling)."""
        inner = self.inner(x)
        better = self.better(inner)
        rated: Tensor = self.worth(inner) + better - better.mean(dim=-1, keepdim=True)
        return rated


class _Learner:
    """The net that decides, the slow one it is measured by, and what they have seen."""

    def __init__(self, home: Home, recipe: WarmRecipe, seed: int, sizes: tuple[int, int]) -> None:
        torch.manual_seed(seed)
        self.net = WarmNet(features=sizes[0], choices=sizes[1])
        self._slow = copy.deepcopy(self.net)
        self._optimiser = torch.optim.Adam(self.net.parameters(), lr=recipe.rate)
        self._draw, self._random = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
        self._home, self._recipe = home, recipe
        size, wide = recipe.memory, sizes[0]
        self._x, self._then = torch.zeros(size, wide), torch.zeros(size, wide)
        self._choice, self._reward = torch.zeros(size, dtype=torch.int64), torch.zeros(size)
        self._at = self._filled = 0

    def episode(self, seed: int, epsilon: float) -> float:
        """Live through an episode and learn meanwhile; returns its mean reward, exploration included."""
        home, recipe, total = self._home, self._recipe, 0.0
        views = home.reset(seed)
        for step in range(home.steps):
            choice = _best(self.net, views)
            odd = self._draw.random(len(choice)) < epsilon
            choice = np.where(odd, self._draw.integers(0, self.net.choices, len(choice)), choice)
            after, reward = home.step(choice)
            self._keep(views, choice, reward, after)
            views, total = after, total + float(reward.mean())
            if self._filled >= recipe.first and step % recipe.learn_every == 0:
                self._learn()
        return total / home.steps

    def _keep(
        self, views: Views, choice: NDArray[np.int64], reward: NDArray[np.float32], after: Views
    ) -> None:
        at = (self._at + torch.arange(len(views))) % len(self._x)
        self._x[at], self._then[at] = torch.from_numpy(views), torch.from_numpy(after)
        self._choice[at], self._reward[at] = torch.from_numpy(choice), torch.from_numpy(reward)
        self._at = int(at[-1]) + 1
        self._filled = min(len(self._x), self._filled + len(views))

    def _learn(self) -> None:
        some = torch.randint(self._filled, (self._recipe.batch,), generator=self._random)
        with torch.no_grad():
            pick = self.net(self._then[some]).argmax(dim=1, keepdim=True)
            worth = self._slow(self._then[some]).gather(1, pick).squeeze(1)
            wanted = self._reward[some] + self._recipe.gamma * worth
        rated = self.net(self._x[some]).gather(1, self._choice[some][:, None]).squeeze(1)
        loss = nn.functional.smooth_l1_loss(rated, wanted)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self._optimiser.step()
        with torch.no_grad():
            for slow, fast in zip(self._slow.parameters(), self.net.parameters(), strict=True):
                slow.lerp_(fast, self._recipe.follow)


def _best(net: WarmNet, views: Views) -> NDArray[np.int64]:
    with torch.inference_mode():
        found: NDArray[np.int64] = net(torch.from_numpy(views)).argmax(dim=1).numpy()
    return found


def train_warm(
    home: Home,
    recipe: WarmRecipe,
    *,
    seed: int = 0,
    tell: Tell | None = None,
    sizes: tuple[int, int] = (len(FEATURES), len(CHOICES)),
) -> WarmNet:
    """Learn ratings of choices until the budget is spent; returns the net that did best in its exams.

    ``sizes`` are how many features are told and how many choices there are.
    """
    begun, learner, episode = time.process_time(), _Learner(home, recipe, seed, sizes), 0
    best, score, last = copy.deepcopy(learner.net), _exam(home, learner.net), 0.0
    while (spent := (time.process_time() - begun) / recipe.budget_s) < 1.0 and episode < recipe.most:
        first, end = recipe.explore
        epsilon = first + (end - first) * min(1.0, spent / 0.7)
        mean = learner.episode(seed * 10_000 + episode, epsilon)
        episode += 1
        if spent - last >= recipe.exam_every:
            own, last = _exam(home, learner.net), spent
            if own > score:
                best, score = copy.deepcopy(learner.net), own
        if tell is not None:
            tell(min(spent, 1.0), f"episode {episode}, reward {mean:.3f}, best {score:.3f}")
    return learner.net if _exam(home, learner.net) > score else best


def _exam(home: Home, net: WarmNet) -> float:
    """Return the mean reward of the same few episodes, without chance."""
    total = []
    for seed in _EXAMS:
        views = home.reset(seed)
        for _ in range(home.steps):
            views, reward = home.step(_best(net, views))
            total.append(float(reward.mean()))
    return float(np.mean(total))


def ship_warm(
    net: WarmNet,
    *,
    name: str,
    key: SigningKey,
    train_cpu_s: float,
    notes: str = "",
    features: tuple[str, ...] = FEATURES,
) -> bytes:
    """Return the net as a signed ONNX file, with its Card: ``x [zone, feature]`` to ``y [zone, choice]``."""
    created = iso(to_ns(datetime.now(UTC)))
    card = Card(
        name=name,
        version=created,
        solution="building",
        problem=Control(command="setpoint", of=("temperature",), by="DQN", every="30min"),
        model="warm net, DQN",
        created=created,
        channels=tuple(Channel(signal=one) for one in features),
        every_ns=1800 * SECOND_NS,
        window=1,
        parameters=sum(one.numel() for one in net.parameters()),
        train_cpu_s=train_cpu_s,
        notes=notes,
    )
    return pack(net, card, key, axes=("zone",), sizes=((5,), (1,), (16,)))
