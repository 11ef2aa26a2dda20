"""PPO for signals: all junctions share one policy, each learns from its own rewards.

Schulman et al., Proximal Policy Optimization Algorithms, 2017; shared parameters as in Yu et al., The
Surprising Effectiveness of PPO in Cooperative Multi-Agent Games, NeurIPS 2022.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import torch
from torch import Tensor, nn

from nervure.learn.control.exam import Exam
from nervure.learn.control.net import PhaseNet, Worth, padded
from nervure.learn.control.street import Street

__all__ = ["PpoRecipe", "train_ppo"]

Tell = Callable[[float, str], None]


class PpoRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """How it is trained; ``budget_s`` are processor seconds for all of it, episodes in the twin too.

    ``sharp`` is by what ratings are multiplied to become logits: the policy begins close to max-pressure.
    """

    budget_s: float = 240.0
    gamma: float = 0.9
    trace: float = 0.9
    rate: float = 3e-4
    critic_rate: float = 1e-3
    clip: float = 0.2
    epochs: int = 4
    batch: int = 256
    entropy: float = 0.003
    sharp: float = 20.0


def train_ppo(street: Street, recipe: PpoRecipe, *, seed: int = 0, tell: Tell | None = None) -> PhaseNet:
    """Learn a policy until the budget is spent; returns the net that did best in its exams."""
    torch.manual_seed(seed)
    net, critic = PhaseNet(), Worth()
    exam = Exam(street, net, recipe.budget_s)
    groups = [{"params": net.parameters()}, {"params": critic.parameters(), "lr": recipe.critic_rate}]
    optimiser = torch.optim.Adam(groups, lr=recipe.rate)  # type: ignore[arg-type]  # a list of dicts it is
    episode, usual = 0, _Usual()
    while (spent := exam.spent) < 1.0:
        told = _episode(street, seed * 10_000 + 5_000 + episode, net, critic, usual, recipe)
        _learn(net, critic, told, optimiser, recipe)
        exam.show(net)
        episode += 1
        if tell is not None:
            score = float(told["reward"].mean())
            tell(spent, f"episode {episode}, reward {score:.3f}, best {exam.score:.3f}")
    return exam.best


class _Usual:
    """How rewards mostly are: the critic learns what is more or less than that, in units of about one."""

    def __init__(self) -> None:
        self._mean, self._square, self._seen = 0.0, 0.0, 0

    def __call__(self, reward: Tensor) -> Tensor:
        """Take the rewards of an episode in, and return them as they are beside the usual."""
        self._seen += 1
        share = max(1 / self._seen, 0.02)
        self._mean += share * (float(reward.mean()) - self._mean)
        self._square += share * (float(reward.square().mean()) - self._square)
        spread: float = max(self._square - self._mean**2, 1e-6) ** 0.5
        return (reward - self._mean) / spread


def _episode(
    street: Street, seed: int, net: PhaseNet, critic: Worth, usual: _Usual, recipe: PpoRecipe
) -> dict[str, Tensor]:  # fmt: skip
    """Return an episode, ``[step, junction, ...]``, with advantages and returns."""
    views, phases = street.reset(seed), max(street.phases)
    kept: dict[str, list[Tensor]] = {
        name: [] for name in ("x", "there", "choice", "chance", "worth", "reward")
    }
    for _ in range(street.steps):
        x, there = padded([torch.from_numpy(one) for one in views], phases)
        with torch.inference_mode():
            policy = torch.distributions.Categorical(logits=recipe.sharp * net(x, there))
            choice = policy.sample()  # type: ignore[no-untyped-call]
            worth = critic(x, there)
        views, reward = street.step(choice.numpy())
        row = {"x": x, "there": there, "choice": choice, "worth": worth,
               "chance": policy.log_prob(choice), "reward": torch.from_numpy(reward)}  # type: ignore[no-untyped-call]  # fmt: skip
        for name, one in row.items():
            kept[name].append(one.clone())
    x, there = padded([torch.from_numpy(one) for one in views], phases)
    with torch.inference_mode():
        then = critic(x, there).clone()
    told = {name: torch.stack(rows) for name, rows in kept.items()}
    fair = usual(told["reward"])
    gain, ahead = torch.zeros_like(told["worth"]), torch.zeros_like(then)
    for step in reversed(range(street.steps)):
        surprise = fair[step] + recipe.gamma * then - told["worth"][step]
        ahead = surprise + recipe.gamma * recipe.trace * ahead
        gain[step], then = ahead, told["worth"][step]
    return told | {"gain": gain, "back": gain + told["worth"]}


def _learn(
    net: PhaseNet,
    critic: Worth,
    told: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    recipe: PpoRecipe,
) -> None:
    flat = {name: one.flatten(0, 1) for name, one in told.items()}
    gain = (flat["gain"] - flat["gain"].mean()) / (flat["gain"].std() + 1e-6)
    for _ in range(recipe.epochs):
        for at in torch.split(torch.randperm(len(gain)), recipe.batch):
            policy = torch.distributions.Categorical(
                logits=recipe.sharp * net(flat["x"][at], flat["there"][at])
            )
            chance = policy.log_prob(flat["choice"][at])  # type: ignore[no-untyped-call]
            ratio = (chance - flat["chance"][at]).exp()
            bound = ratio.clamp(1 - recipe.clip, 1 + recipe.clip)
            better = torch.minimum(ratio * gain[at], bound * gain[at]).mean()
            worth = critic(flat["x"][at], flat["there"][at])
            off = nn.functional.smooth_l1_loss(worth, flat["back"][at])
            spread = policy.entropy().mean()  # type: ignore[no-untyped-call]
            loss = off - better - recipe.entropy * spread
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 0.5)
            nn.utils.clip_grad_norm_(critic.parameters(), 1.0)
            optimiser.step()
