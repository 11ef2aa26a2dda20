"""The frame around every deep forecaster: scalers, masks, anchor, quantiles, calibration.

A model is a net that sees readings in scales of their node, beyond the seasonal anchor and the
window's level, and answers with a head for each quantile in the same terms. The frame holds what
was measured on the train part, so a packaged graph eats raw readings and answers in raw units.
Reversible normalisation after Kim et al., ICLR 2022.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import softplus

from nervure.core.instant import DAY_NS
from nervure.learn.anchor import Anchor, per_day
from nervure.learn.task import ForecastTask, Samples

__all__ = [
    "NEWEST",
    "Frame",
    "Ground",
    "Seen",
    "Sizes",
    "Times",
    "moments",
    "newest",
    "profile_of",
    "same_slot",
    "sizes",
]

NEWEST = 12  # readings of a neighbour that are looked at
_YEAR_DAYS = 300  # a train part as long as this has seen every season


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How large a net's inputs are: slots, nodes, drivers, lags, neighbours, drivers known ahead.

    ``full_day`` counts the slots of a day, ``fine_day`` the slots into which a profile cuts it.
    ``year`` tells that the train part holds every season.
    """

    window: int
    horizon: int
    nodes: int
    quantiles: int
    drivers: int
    lags: int
    near: int
    ahead: int
    full_day: int
    fine_day: int
    year: bool
    joint: bool


def sizes(task: ForecastTask) -> Sizes:
    """Return the sizes of a task's inputs."""
    every_ns = task.table.every_ns
    lags = sum(one.back > 0 for one in task.inputs)
    return Sizes(
        window=task.window,
        horizon=task.horizon,
        nodes=task.nodes,
        quantiles=len(task.quantiles),
        drivers=len(task.inputs) - 1 - lags - task.neighbours.shape[1],
        lags=lags,
        near=task.neighbours.shape[1],
        ahead=task.ahead.shape[1],
        full_day=max(1, DAY_NS // every_ns),
        fine_day=per_day(every_ns),
        year=len(task.split.train) * every_ns >= _YEAR_DAYS * DAY_NS,
        joint=task.joint,
    )


class Seen(NamedTuple):
    """What a net sees, in scales of the node beyond anchor and level; gaps are zero.

    ``apart`` and ``mask`` are ``[batch, time]``; ``drivers [batch, time, driver]``; ``lags`` and
    ``lag_mask [batch, time, lag]`` are own readings a period earlier, the last ``horizon`` of them
    at the horizon's own slots; ``near [batch, time, neighbour]`` are neighbours around their own
    level, and ``near_level [batch, neighbour]`` is how far that lies from the node's own. ``shape
    [batch, horizon]`` is the anchor's course, ``level [batch, 1]`` the window's mean distance from
    it, ``node [batch]``, ``past [batch, time, 5]`` and ``then [batch, horizon, 5]`` the calendar,
    ``ahead [batch, horizon, driver]`` the drivers known ahead (none: 0 of them).
    """

    apart: Tensor
    mask: Tensor
    drivers: Tensor
    lags: Tensor
    lag_mask: Tensor
    near: Tensor
    near_level: Tensor
    shape: Tensor
    level: Tensor
    node: Tensor
    past: Tensor
    then: Tensor
    ahead: Tensor

    @property
    def newest(self) -> Tensor:
        """The newest reading of each window that is there, ``[batch, 1]``."""
        return self.apart.gather(1, newest(self.mask))


class Ground(NamedTuple):
    """What a forecast stands on: ``base`` and ``scale [batch, time + horizon]`` in raw units.

    Where ``dark [batch, time + horizon]`` is 1 a reading says nothing (no sun, no irradiance).
    """

    base: Tensor
    scale: Tensor
    dark: Tensor | None = None


def newest(mask: Tensor) -> Tensor:
    """Return the place of the newest reading that is there, ``[batch, 1]``; the first slot if none."""
    place = torch.arange(mask.shape[1], device=mask.device, dtype=mask.dtype)
    return (mask * place).argmax(dim=1, keepdim=True)


def same_slot(window: int, horizon: int, period: int, most: int) -> NDArray[np.int64]:
    """Return where in the window each step finds its own slot of the period, newest first.

    The result is ``[horizon, count]``; count is 0 if the window is shorter than a period.

    >>> same_slot(6, 2, 3, 7)
    array([[3, 0],
           [4, 1]])
    """
    count = min(most, window // period)
    step = np.arange(horizon)
    latest = window - period + step % period
    place: NDArray[np.int64] = latest[:, None] - period * np.arange(count)
    return place


def moments(task: ForecastTask, columns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return mean and spread of each node's drivers in the train part: ``[2, node, driver]``."""
    both = np.repeat([[0.0], [1.0]], task.table.value.shape[1], axis=1)
    for one in np.unique(columns):  # one by one: a copy of them all is large
        known = task.table.value[task.split.train, one]
        known = known[np.isfinite(known)]
        if len(known):
            mean, spread = known.mean(), known.std()
            both[:, one] = mean, spread if spread > 1e-9 * (1 + np.abs(mean)) else 1.0
    return both[:, columns]


def profile_of(task: ForecastTask, anchor: Anchor, chosen: Samples) -> NDArray[np.float64]:
    """Return the anchor as training sees it (without the reading's own week) for all that is anchored.

    ``[batch, time + horizon + time * lag + time * neighbour]``: window and horizon, then each lag
    channel, then each neighbour.
    """
    last, node = chosen.last[:, None], chosen.node[:, None]
    rows = [last + np.arange(1 - task.window, task.horizon + 1)]
    nodes = [np.broadcast_to(node, rows[0].shape)]
    past = np.arange(1 - task.window, 1)
    for one in task.inputs:
        if one.back or one.neighbour:
            rows.append(last - one.back + past)
            own = task.neighbours[chosen.node, one.neighbour - 1][:, None] if one.neighbour else node
            nodes.append(np.broadcast_to(own, rows[-1].shape))
    row = np.clip(np.concatenate(rows, axis=1), 0, len(anchor.seen) - 1)
    found: NDArray[np.float64] = anchor.seen[row, np.concatenate(nodes, axis=1)]
    return found


class Frame(nn.Module):
    """A net in its frame.

    ``x [batch, time, channel]`` in raw units with NaN gaps, ``node [batch]``, ``calendar [batch,
    time + horizon, 5]`` and, where drivers are known ahead, ``future [batch, horizon, driver]``
    become ``y [batch, horizon, quantile]`` in raw units, quantiles not falling. ``profile`` replaces
    the anchor's own table in training (:func:`profile_of`). Where a ``blend`` is given, it mixes the
    net's median with plainer forecasts once training is over.
    """

    scale: Tensor
    table: Tensor
    near: Tensor
    past_mean: Tensor
    past_scale: Tensor
    ahead_mean: Tensor
    ahead_scale: Tensor
    stretch: Tensor

    def __init__(
        self, task: ForecastTask, anchor: Anchor, net: nn.Module, *, blend: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.sizes = sizes(task)
        self.median = task.median
        self.bounds = (task.low, task.high)
        self.net = net
        self.blend = blend
        places = list(enumerate(task.inputs))[1:]
        self.driver_at = [place for place, one in places if not one.back and not one.neighbour]
        self.lag_at = [place for place, one in places if one.back]
        self.near_at = [place for place, one in places if one.neighbour]
        day = self.sizes.full_day
        self.days_back = [(task.inputs[place].back + task.horizon) // day for place in self.lag_at]
        past, ahead = moments(task, task.channels[:, self.driver_at]), moments(task, task.ahead)
        facts = {
            "scale": anchor.scale,
            "table": anchor.table,
            "past_mean": past[0],
            "past_scale": past[1],
            "ahead_mean": ahead[0],
            "ahead_scale": ahead[1],
            "stretch": np.ones((task.nodes, task.horizon, len(task.quantiles))),
        }
        for name, fact in facts.items():
            self.register_buffer(name, torch.tensor(fact, dtype=torch.float32))
        self.register_buffer("near", torch.from_numpy(task.neighbours.copy()))

    def forward(
        self,
        x: Tensor,
        node: Tensor,
        calendar: Tensor,
        future: Tensor | None = None,
        profile: Tensor | None = None,
    ) -> Tensor:
        """Foresee: ``[batch, horizon, quantile]`` in raw units."""
        ground = self.ground(x, node, calendar, future, profile)
        seen = self.see(x, node, calendar, future, ground, profile)
        quantile = self._rise(self.net(seen), node)
        if self.blend is not None and not self.training:  # the net learns the whole, not what others leave
            middle = quantile[:, :, self.median]
            mixed = self.blend(seen, ground, middle)
            quantile = quantile + (mixed - middle)[:, :, None]
        window = self.sizes.window
        base, scale = ground.base[:, window:, None], ground.scale[:, window:, None]
        y = (quantile + seen.level[:, :, None]) * scale + base
        low, high = self.bounds
        return y if low is None and high is None else torch.clamp(y, min=low, max=high)

    def ground(
        self, x: Tensor, node: Tensor, calendar: Tensor, future: Tensor | None, profile: Tensor | None
    ) -> Ground:
        """Return what the forecast stands on: the seasonal profile, in scales of the node."""
        count = calendar.shape[1]
        base = self._profile(node[:, None], self._slot(calendar)) if profile is None else profile[:, :count]
        return Ground(base=base, scale=self.scale[node][:, None].expand(-1, count))

    def see(
        self,
        x: Tensor,
        node: Tensor,
        calendar: Tensor,
        future: Tensor | None,
        ground: Ground,
        profile: Tensor | None = None,
    ) -> Seen:
        """Return what the window shows beyond its ground."""
        window = self.sizes.window
        target = x[:, :, 0]
        mask = (~torch.isnan(target)).float()
        if ground.dark is not None:
            mask = mask * (1 - ground.dark[:, :window])
        scale = ground.scale[:, :window]
        apart = (torch.nan_to_num(target) - ground.base[:, :window]) / scale * mask
        level = _mean(apart, mask)
        far = ground.base[:, window:] - ground.base.mean(dim=1, keepdim=True)
        lags, lag_mask = self._lags(x, node, calendar, profile, level)
        near, near_level = self._near(x, node, calendar, profile)
        return Seen(
            apart=(apart - level) * mask,
            mask=mask,
            drivers=torch.nan_to_num(
                (x[:, :, self.driver_at] - self.past_mean[node][:, None]) / self.past_scale[node][:, None]
            ),
            lags=lags,
            lag_mask=lag_mask,
            near=near,
            near_level=near_level - level,
            shape=far / ground.scale[:, window:],
            level=level,
            node=node,
            past=calendar[:, :window],
            then=calendar[:, window:],
            ahead=self._ahead(x, node, future),
        )

    def _ahead(self, x: Tensor, node: Tensor, future: Tensor | None) -> Tensor:
        """Scale the drivers known ahead, gaps at their mean: ``[batch, horizon, driver]``."""
        if future is None:
            return x.new_zeros((x.shape[0], self.sizes.horizon, 0))
        return torch.nan_to_num((future - self.ahead_mean[node][:, None]) / self.ahead_scale[node][:, None])

    def _lags(
        self, x: Tensor, node: Tensor, calendar: Tensor, profile: Tensor | None, level: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return own readings a period earlier, beyond their anchor and the level, and their mask."""
        raw = x[:, :, self.lag_at]
        mask = (~torch.isnan(raw)).float()
        if not self.lag_at:
            return raw, mask
        window, count = self.sizes.window, calendar.shape[1]
        bases = []  # the lag channel ends at the horizon's own slots
        for place, days in enumerate(self.days_back):
            if profile is None:
                slots = self._slot(calendar, days_back=days)[:, count - window :]
                bases.append(self._profile(node[:, None], slots))
            else:
                start = count + place * window
                bases.append(profile[:, start : start + window])
        base = torch.stack(bases, dim=2)
        apart = (torch.nan_to_num(raw) - base) / self.scale[node][:, None, None] - level[:, :, None]
        return apart * mask, mask

    def _near(
        self, x: Tensor, node: Tensor, calendar: Tensor, profile: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the neighbours beyond anchor and level, ``[batch, time, neighbour]``, and their level."""
        raw = x[:, :, self.near_at]
        if not self.near_at:
            return raw, raw[:, 0]
        window, count, each = self.sizes.window, calendar.shape[1], len(self.near_at)
        others = self.near[node]  # [batch, neighbour]
        if profile is None:
            base = self._profile(others[:, None], self._slot(calendar)[:, :window, None])
        else:
            start = count + len(self.lag_at) * window
            base = profile[:, start:].reshape(-1, each, window).transpose(1, 2)
        mask = (~torch.isnan(raw)).float()
        apart = (torch.nan_to_num(raw) - base) / self.scale[others][:, None] * mask
        level = apart.sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        return (apart - level[:, None]) * mask, level

    def _slot(self, calendar: Tensor, *, days_back: int = 0) -> Tensor:
        """Return the profile's slot for calendar rows ``[..., 5]``.

        It is always asked for the whole calendar, and cut afterwards: so a packaged graph computes
        it once. ``days_back`` days earlier nobody knows whether it was a holiday: a plain day.
        """
        slot = calendar[..., 0]
        fine, full = self.sizes.fine_day, self.sizes.full_day
        if full != fine:
            slot = slot * fine // full
        if days_back:
            weekday = (calendar[..., 1] - days_back) % 7
        else:
            weekday = torch.where(calendar[..., 2] == 1, 6, calendar[..., 1])
        return weekday * fine + slot

    def _profile(self, node: Tensor, slot: Tensor) -> Tensor:
        """Look up the seasonal profile at ``slot [...]``, of nodes that broadcast to it."""
        return self.table.flatten()[node * self.table.shape[1] + slot]

    def _rise(self, heads: Tensor, node: Tensor) -> Tensor:
        """Let the quantiles rise from the median outwards, by steps stretched as calibration found."""
        middle = heads[..., self.median : self.median + 1]
        steps = softplus(heads - 0.5) * self.stretch[node]
        up = torch.cumsum(steps[..., self.median + 1 :], dim=-1)
        down = torch.cumsum(steps[..., : self.median].flip(-1), dim=-1).flip(-1)
        return torch.cat([middle - down, middle, middle + up], dim=-1)


def _mean(value: Tensor, mask: Tensor) -> Tensor:
    return value.sum(dim=1, keepdim=True) / mask.sum(dim=1, keepdim=True).clamp(min=1)


class Times(nn.Module):
    """Embeddings of calendar rows ``[..., 5]``: slot of day, day of week, holiday, season of the year.

    The season (two harmonics of the day of the year) is seen only where the train part holds a year.
    """

    def __init__(self, sizes: Sizes, size: int) -> None:
        super().__init__()
        self.fine, self.full, self.year = sizes.fine_day, sizes.full_day, sizes.year
        self.slot = nn.Embedding(sizes.fine_day, size)
        self.weekday = nn.Embedding(7, size)
        self.holiday = nn.Embedding(2, size)
        self.width = 3 * size + (4 if self.year else 0)

    def forward(self, calendar: Tensor) -> Tensor:
        """Return ``[..., width]``."""
        slot = calendar[..., 0]
        if self.full != self.fine:
            slot = slot * self.fine // self.full
        parts = [self.slot(slot), self.weekday(calendar[..., 1]), self.holiday(calendar[..., 2])]
        if self.year:
            angle = calendar[..., 4:].float() * (2 * math.pi / 365.25)
            parts += [angle.sin(), angle.cos(), (2 * angle).sin(), (2 * angle).cos()]
        return torch.cat(parts, dim=-1)
