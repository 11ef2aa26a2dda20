"""Nets that tell how long a machine has left: the expected life, and how sure that is.

A model's file derives from :class:`LifeNet` and says what its body is. The module is given the last
``window`` rows, ``x [batch, time, channel + 1]`` with NaN where nothing was read (also before the first
row); the last channel is the row's number, counted from 1. It answers ``life [batch]``, the expected
remaining rows, and ``quantile [batch, level]`` at ``LEVELS``, in order. Operating conditions, scalers
and masks are inside, so the file that is shipped needs nothing beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Self

import numpy as np
import torch
from einops import rearrange, reduce
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from nervure.core.error import DataError, ModelError
from nervure.learn.detect.block import Block, unite
from nervure.learn.detect.life import SETTINGS, Conditions
from nervure.learn.detect.machine import CLIP, remaining
from nervure.learn.detect.train import Effort, Run, train
from nervure.learn.detect.windowed import ending, to_onnx

__all__ = ["LEVELS", "OUTPUTS", "Life", "LifeModule", "LifeNet", "LifeStepper"]

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Longs = NDArray[np.int64]

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
OUTPUTS = ("life", "quantile")
_CHUNK = 2048
_YOUNG = 20  # rows after the first that a machine is taken for healthy
_BOUND = 6.0  # standard deviations; what is farther off is taken for that
_STEPS = 32
_EXAMPLES = 400 * 256  # that are trained on, however many rows there are
_HEALTHY = 0.3  # rows that have more than the clip left are drawn this often, beside the others


class Life(NamedTuple):
    """What is left at rows: ``expected [row]`` and ``quantile [row, level]`` at ``LEVELS``."""

    expected: Floats
    quantile: Floats


class LifeModule(nn.Module):
    """Scalers, means over patches of ``patch`` rows, a body, and heads for the life and its quantiles.

    ``body(z [batch, patch, sensor + 1]) -> [batch, feature]``; its last input is the share of the
    patch that was read. Sensors are told by deviations from what is usual in their operating condition.
    """

    centre: Tensor
    mean: Tensor
    gain: Tensor
    young: Tensor
    top: Tensor

    def __init__(self, body: nn.Module, width: int, usual: Conditions, *, patch: int, top: float) -> None:
        super().__init__()
        self.settings, self.patch, self.body = usual.settings, patch, body
        gain = np.where(np.isfinite(usual.deviation), 1 / usual.deviation, 0.0)
        for name, one in (("centre", usual.centre), ("mean", usual.mean), ("gain", gain)):
            self.register_buffer(name, torch.from_numpy(one.astype(np.float32)))
        self.register_buffer("young", torch.zeros(usual.mean.shape[1]))
        self.register_buffer("top", torch.tensor(top))
        self.mix = nn.Sequential(nn.Linear(width + 2, 32), nn.GELU(), nn.Dropout(0.1))
        self.life = nn.Linear(32, 1)
        self.spread = nn.Linear(32, len(LEVELS))

    def near(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return deviations ``[batch, time, sensor]``, 0 where not read, and how old, ``[batch]``."""
        settings = torch.nan_to_num(x[:, :, : self.settings])
        apart = reduce(
            (settings[:, :, None] - self.centre) ** 2, "batch time kind setting -> batch time kind", "sum"
        )
        kind = apart.argmin(dim=2)
        sensor = x[:, :, self.settings : -1]
        z = (sensor - self.mean[kind]) * self.gain[kind]
        return torch.nan_to_num(z).clamp(-_BOUND, _BOUND), x[:, -1, -1]

    def read(self, x: Tensor) -> Tensor:
        """Return which rows hold a reading, ``[batch, time, 1]``, as 0 or 1."""
        return 1.0 - torch.isnan(x[:, :, self.settings : -1]).all(dim=2, keepdim=True).float()

    def answer(self, z: Tensor, known: Tensor, age: Tensor) -> tuple[Tensor, Tensor]:
        """Answer from deviations, for what asks how the answer depends on them."""
        patches = "batch (patch row) sensor -> batch patch sensor"
        share = reduce(known, patches, "mean", row=self.patch)
        held = reduce(z * known, patches, "mean", row=self.patch) / share.clamp(min=1 / self.patch)
        return self.tell(torch.cat([held, share], dim=2), age)

    def patched(self, value: Singles) -> Tensor:
        """Return the mean of the ``patch`` rows up to each row of one machine, ``[row, sensor + 1]``.

        The same as :meth:`answer` makes of windows, made once for all of them.
        """
        x = _batch(value)
        z, known = self.near(x)[0][0], self.read(x)[0]
        before = z.new_zeros(self.patch, z.shape[1] + 1)
        sums = torch.cat([before, torch.cat([z * known, known], dim=1)]).double().cumsum(dim=0)
        total = (sums[self.patch :] - sums[: -self.patch]).float()
        count = total[:, -1:]
        return torch.cat([total[:, :-1] / count.clamp(min=1), count / self.patch], dim=1)

    def tell(self, patches: Tensor, age: Tensor) -> tuple[Tensor, Tensor]:
        """Answer from means of patches, ``[batch, patch, sensor + 1]``."""
        found = self.body(patches)
        old = torch.stack([age / 100, torch.log1p(age) / 3], dim=1)
        mixed = self.mix(torch.cat([found, old], dim=1))
        life = self.top * (0.5 + 0.5 * self.life(mixed)[:, 0])
        gap = functional.softplus(self.spread(mixed)) * self.top / 16
        middle = life + gap[:, 2] - self.top / 16 * 0.6931472
        low = torch.stack([middle - gap[:, 1] - gap[:, 0], middle - gap[:, 1]], dim=1)
        high = torch.stack([middle, middle + gap[:, 3], middle + gap[:, 3] + gap[:, 4]], dim=1)
        return life, torch.cat([low, high], dim=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Answer what is left, from 0 to the clip."""
        z, age = self.near(x)
        life, quantile = self.answer(z, self.read(x), age)
        bound = self.top * 1.0
        return torch.minimum(life.clamp(min=0), bound), torch.minimum(quantile.clamp(min=0), bound)


class LifeNet:
    """A net of the remaining life; see the module's text. ``settings`` channels come before the sensors.

    Trained on every row of machines that ran to failure, the target clipped at ``clip`` (``None``: not
    clipped). ``members`` nets of other chance are trained and their answers averaged. Not for machines
    whose age is not counted from new.
    """

    name: str = ""
    kind: Literal["deep"] = "deep"

    def __init__(
        self, window: int = 120, patch: int = 10, *, clip: float | None = CLIP, settings: int = SETTINGS,
        effort: Effort | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        if window % patch:
            raise ModelError(f"a window of {window} rows is not made of patches of {patch}")
        self.window, self.patch, self.clip, self.settings, self.seed = window, patch, clip, settings, seed
        self.effort = effort
        self.channels: tuple[str, ...] = ()
        self.module: LifeModule | None = None
        self.run: Run | None = None

    def build(self, sensors: int, patches: int) -> tuple[nn.Module, int]:
        """Return the body, ``[batch, patch, sensor + 1]`` to ``[batch, feature]``, and its features."""
        raise NotImplementedError

    def fit(self, blocks: Sequence[Block]) -> Self:
        """Learn from machines that ran to failure; all steps of the effort are done, none is chosen."""
        value = unite(blocks)
        left = np.concatenate([remaining(one, clip=None) for one in blocks])
        self.channels = blocks[0].channels
        torch.manual_seed(self.seed)
        usual = Conditions(_filled(value), self.settings)
        top = self.clip if self.clip is not None else float(left.max())
        body, width = self.build(value.shape[1] - self.settings, self.window // self.patch)
        module = LifeModule(body, width, usual, patch=self.patch, top=top)
        aged = [_aged(one.value) for one in blocks]
        with torch.no_grad():
            module.young.copy_(
                torch.cat([module.near(_batch(one[:_YOUNG]))[0][0] for one in aged]).mean(dim=0)
            )
        self.run = self._train(module, aged, left, top)
        self.module = module
        return self

    def _train(self, module: LifeModule, aged: Sequence[Singles], left: Floats, top: float) -> Run:
        """Train on every row; patches of all rows are made once."""
        count, back = self.window // self.patch, np.arange(self.window // self.patch)[::-1] * self.patch
        with torch.no_grad():
            nothing = torch.zeros(1, aged[0].shape[1] - self.settings)
            patches = torch.cat([nothing, *(module.patched(one) for one in aged)])
        age = np.concatenate([np.arange(1, len(one) + 1) for one in aged])
        row = np.arange(1, len(age) + 1)
        place = torch.from_numpy(np.where(back < age[:, None], row[:, None] - back, 0))
        old, target = (torch.from_numpy(one.astype(np.float32)) for one in (age, np.minimum(left, top)))
        level = torch.tensor(LEVELS)

        def loss(index: Longs) -> Tensor:
            some = torch.from_numpy(index)
            rows = patches[place[some].flatten()]
            shown = rearrange(rows, "(batch patch) sensor -> batch patch sensor", patch=count)
            life, quantile = module.tell(shown, old[some])
            off = (target[some, None] - quantile) / top
            pinball = torch.maximum(level * off, (level - 1) * off).mean()
            return functional.mse_loss(life / top, target[some] / top) * 10 + pinball * 4

        weight = np.where(left > 1.2 * top, _HEALTHY, 1.0)
        effort = self.effort or Effort(
            cpu_s=120, epochs=_EXAMPLES / len(left), batch=256, rate=4e-3, judgements=1
        )
        return train(module, len(left), loss, _newer(), effort=effort, weight=weight, seed=self.seed)

    def judge(self, value: Floats) -> Life:
        """Return what is left at each row of one machine, from its past alone."""
        if value.ndim != 2 or value.shape[1] != len(self.channels):
            raise ModelError(f"{self.name}: values of {value.shape} do not fit {len(self.channels)} channels")
        return self.answers(ending(_aged(value), self.window))

    def predict(self, value: Floats) -> Floats:
        """Return the quantiles of what is left at each row, ``[row, level]`` at ``LEVELS``."""
        return self.judge(value).quantile

    def last(self, blocks: Sequence[Block]) -> Floats:
        """Return the expected remaining rows of machines at their last row, ``[unit]``."""
        return self.final(blocks).expected

    def final(self, blocks: Sequence[Block]) -> Life:
        """Return what is left of machines at their last row."""
        return self.answers(np.stack([ending(_aged(one.value), self.window)[-1] for one in blocks]))

    def contributions(self, value: Floats) -> Floats:
        """Return what the last window's readings did to the expected life, ``[time, channel]`` in rows.

        By integrated gradients (Sundararajan, Taly & Yan, ICML 2017), beside a machine of the same
        age whose sensors read as those of young ones; they add up to the difference between the
        two lives, before these are clipped. Settings have no part.
        """
        from captum.attr import IntegratedGradients

        module = self._fitted()
        x = torch.from_numpy(ending(_aged(value), self.window)[-1:].copy())
        z, age = module.near(x)
        known = module.read(x)
        found = IntegratedGradients(lambda one, seen, old: module.answer(one, seen, old)[0]).attribute(
            z, baselines=module.young.expand_as(z).contiguous(),
            additional_forward_args=(known, age), n_steps=_STEPS,
        )  # fmt: skip
        own = found[0].detach().numpy().astype(np.float64)
        return np.concatenate([np.zeros((self.window, self.settings)), own], axis=1)

    def usual(self, value: Floats) -> float:
        """Return the life that :meth:`contributions` compare with: of this age, with young sensors."""
        module = self._fitted()
        x = torch.from_numpy(ending(_aged(value), self.window)[-1:].copy())
        with torch.inference_mode():
            z, age = module.near(x)
            return float(module.answer(module.young.expand_as(z), module.read(x), age)[0])

    def stepper(self) -> LifeStepper:
        """Return this net for rows that come one at a time."""
        return LifeStepper(self)

    def to_onnx(self) -> bytes:
        """Return the graph ``x [batch, window, channel + 1]`` to ``life`` and ``quantile``."""
        return to_onnx(self._fitted(), self.window, len(self.channels) + 1, OUTPUTS)

    def answers(self, shown: Singles) -> Life:
        """Return what is left at the ends of windows ``[row, time, channel + 1]``."""
        module, parts = self._fitted(), []
        with torch.inference_mode():
            for start in range(0, len(shown), _CHUNK):
                x = torch.from_numpy(np.ascontiguousarray(shown[start : start + _CHUNK]))
                parts.append([one.numpy().astype(np.float64) for one in module(x)])
        return Life(*(np.concatenate([one[at] for one in parts]) for at in range(2)))

    def _fitted(self) -> LifeModule:
        if self.module is None:
            raise ModelError(f"{self.name} has not been fitted")
        return self.module.eval()


class LifeStepper:
    """A net fed one row at a time: the same answers as on the whole array."""

    def __init__(self, net: LifeNet) -> None:
        self._net, self._age = net, 0
        self._ring = np.full((net.window, len(net.channels) + 1), np.nan, dtype=np.float32)

    def step(self, row: Floats) -> Life:
        """Return what is left after one more row ``[channel]``: ``expected []``, ``quantile [level]``."""
        self._age += 1
        self._ring = np.concatenate([self._ring[1:], np.r_[row, self._age][None].astype(np.float32)])
        life, quantile = self._net.answers(self._ring[None])
        return Life(life[0], quantile[0])


def _batch(value: Singles) -> Tensor:
    return torch.from_numpy(value)[None]


def _aged(value: Floats) -> Singles:
    """Append the row's number to each row."""
    age = np.arange(1, len(value) + 1, dtype=np.float32)[:, None]
    return np.concatenate([value.astype(np.float32), age], axis=1)


def _filled(value: Floats) -> Floats:
    """Put a channel's mean where nothing was read, for the scaler; it refuses channels never read."""
    known = ~np.isnan(value)
    if not known.any(axis=0).all():
        raise DataError("a channel was never read", hint="leave it out")
    return np.where(known, value, np.nanmean(value, axis=0))


def _newer() -> Callable[[], float]:
    done = [0.0]

    def judged() -> float:
        done[0] -= 1.0
        return done[0]

    return judged
