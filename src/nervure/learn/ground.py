"""What a deep forecast stands on: the season, the last reading, a clear sky, or a power curve.

The problem says which (``Forecast.ground``), and every model is put into its frame here, so that
any of them foresees a solar plant as its share of what a clear sky would give, a wind farm as what
its power curve leaves, and a river as its rise. Clear-sky index: Bacher, Madsen & Nielsen, Solar
Energy 83(10), 2009.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import softplus

from nervure.core.instant import DAY_NS
from nervure.learn.anchor import Anchor
from nervure.learn.curve import Curve, draw
from nervure.learn.frame import Frame, Ground, Seen, newest
from nervure.learn.sun import clear_sky, clear_sky_table
from nervure.learn.task import ForecastTask

__all__ = ["CurveFrame", "Label", "LastFrame", "SunFrame", "frame_for"]

Floats = NDArray[np.float64]
Label = Literal["start", "end"]

_DARK = 1.0  # W/m2 of clear-sky light in a slot's mean: less is night
_BRIGHT = 100.0  # W/m2 from which a plant's capacity can be told
_GREY = 0.05  # of the clearest light: a scale is never smaller, or dawn would blow noise up
_CLEAR = 0.9  # quantile of output over clear-sky light that counts as a clear day's
_SAME_PLACE = 0.05  # degrees: plants as close as this see the same sky


def frame_for(task: ForecastTask, anchor: Anchor, net: nn.Module, *, blend: nn.Module | None = None) -> Frame:
    """Put a net into the frame that the task's problem asks for.

    A clear sky needs to know where every node lies, a power curve a driver known ahead: without
    them a forecast stands on its season, or on the last reading.
    """
    kind = task.problem.ground
    if kind == "clear-sky" and len(task.places) and np.isfinite(task.places).all():
        return SunFrame(task, anchor, net, blend=blend)
    if kind == "power-curve" and task.ahead.shape[1]:
        return CurveFrame(task, anchor, net, blend=blend)
    if kind in {"last", "power-curve"} and not task.blind:
        return LastFrame(task, anchor, net, blend=blend)
    return Frame(task, anchor, net, blend=blend)


class _Lit(NamedTuple):
    """Clear-sky light in W/m2 and readings ``[row, node]``, and what of their slots those bear."""

    label: Label
    light: Floats
    value: Floats


class _OwnFrame(Frame):
    """A frame without a seasonal profile: lags and neighbours are held against newest readings."""

    def _lags(
        self, x: Tensor, node: Tensor, calendar: Tensor, profile: Tensor | None, level: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return own readings a period earlier, beyond the newest one, and their mask."""
        raw = x[:, :, self.lag_at]
        mask = (~torch.isnan(raw)).float()
        if not self.lag_at:
            return raw, mask
        held = self._held(x[:, :, 0], node)
        return (torch.nan_to_num(raw) - held[:, :, None]) / self.scale[node][:, None, None] * mask, mask

    def _near(
        self, x: Tensor, node: Tensor, calendar: Tensor, profile: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the neighbours beyond their newest readings and the mean of that, and that mean."""
        raw = x[:, :, self.near_at]
        if not self.near_at:
            return raw, raw[:, 0]
        others = self.near[node]
        mask = (~torch.isnan(raw)).float()
        filled = torch.nan_to_num(raw)
        place = torch.arange(mask.shape[1], dtype=mask.dtype, device=mask.device)[None, :, None]
        last = filled.gather(1, (mask * place).argmax(dim=1, keepdim=True))
        apart = (filled - last) / self.scale[others][:, None] * mask
        level = apart.sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        return (apart - level[:, None]) * mask, level

    def _held(self, target: Tensor, node: Tensor) -> Tensor:
        """Return the newest reading ``[batch, 1]``; the node's mean where its window has none."""
        mask = ~torch.isnan(target)
        last = torch.nan_to_num(target).gather(1, newest(mask.float()))
        return torch.where(mask.any(dim=1, keepdim=True), last, self.table[node].mean(dim=1, keepdim=True))


class LastFrame(_OwnFrame):
    """A forecast is the last reading and what the net adds; the scale is a node's usual change."""

    def __init__(
        self, task: ForecastTask, anchor: Anchor, net: nn.Module, *, blend: nn.Module | None = None
    ) -> None:
        super().__init__(task, anchor, net, blend=blend)
        value = task.table.value[task.split.train][:, task.targets]
        step = max(1, task.horizon // 2)
        self.scale = torch.tensor(_spread(value[step:] - value[:-step], anchor), dtype=torch.float32)

    def ground(
        self, x: Tensor, node: Tensor, calendar: Tensor, future: Tensor | None, profile: Tensor | None
    ) -> Ground:
        """Return the newest reading for every slot, in scales of the node."""
        count = calendar.shape[1]
        scale = self.scale[node][:, None].expand(-1, count)
        return Ground(base=self._held(x[:, :, 0], node).expand(-1, count), scale=scale)

    def see(
        self,
        x: Tensor,
        node: Tensor,
        calendar: Tensor,
        future: Tensor | None,
        ground: Ground,
        profile: Tensor | None = None,
    ) -> Seen:
        """Return what the window shows beyond its newest reading; the level is zero."""
        seen = super().see(x, node, calendar, future, ground, profile)
        return seen._replace(
            apart=(seen.apart + seen.level) * seen.mask,
            near_level=seen.near_level + seen.level,
            level=torch.zeros_like(seen.level),
        )


class CurveFrame(_OwnFrame):
    """A forecast is what the power curve makes of a driver known ahead (the wind), and what the net adds.

    Where the driver is missing the newest reading stands in.
    """

    def __init__(
        self, task: ForecastTask, anchor: Anchor, net: nn.Module, *, blend: nn.Module | None = None
    ) -> None:
        super().__init__(task, anchor, net, blend=blend)
        drawn = draw(task)
        self.follow = Curve(task, drawn)
        self.scale = torch.tensor(_spread(drawn.left, anchor), dtype=torch.float32)

    def ground(
        self, x: Tensor, node: Tensor, calendar: Tensor, future: Tensor | None, profile: Tensor | None
    ) -> Ground:
        """Return what the curve makes of the driver over window and horizon."""
        drawn = self.follow(x, node, future, self.sizes.horizon)
        base = torch.where(torch.isnan(drawn), self._held(x[:, :, 0], node), drawn)
        return Ground(base=base, scale=self.scale[node][:, None].expand(-1, calendar.shape[1]))


class SunFrame(Frame):
    """A forecast is a share of what a clear sky gives a plant; exactly nothing while the sun is down.

    Where irradiance (or another driver) is known ahead and its power curve says more than the usual
    share of a clear sky, that is what the forecast stands on, still in scales of the clear sky.

    ``sky [place, day of the year * slot]`` is clear-sky irradiance in W/m2 (:mod:`nervure.learn.sun`)
    of each place, ``place [node]`` says which is whose, and ``scale [node]`` is the plant's output
    per W/m2 on clear days of the train part. Whether readings bear the start of their slot or its
    end is told by which of the two fits the train part better.
    """

    sky: Tensor
    place: Tensor
    gap: Tensor

    def __init__(
        self, task: ForecastTask, anchor: Anchor, net: nn.Module, *, blend: nn.Module | None = None
    ) -> None:
        super().__init__(task, anchor, net, blend=blend)
        every = DAY_NS // self.sizes.fine_day
        lit = _lit(task)
        first, place = _places(task)
        sky = np.stack(
            [clear_sky_table(*_at(task, one), task.zone, every, label=lit.label).ravel() for one in first]
        )
        self.floor = _GREY * float(sky.max())
        self.register_buffer("sky", torch.tensor(sky, dtype=torch.float32))
        self.register_buffer("place", torch.from_numpy(place))
        self.scale = torch.tensor(_capacity(lit), dtype=torch.float32)
        self.follow = _better(task, lit) if task.ahead.shape[1] else None
        normal = np.array([NormalDist().inv_cdf(one) for one in task.quantiles])
        inner = np.arange(len(normal)) - np.sign(np.arange(len(normal)) - task.median)
        self.register_buffer("gap", torch.tensor(np.abs(normal - normal[inner]), dtype=torch.float32))

    def forward(
        self,
        x: Tensor,
        node: Tensor,
        calendar: Tensor,
        future: Tensor | None = None,
        profile: Tensor | None = None,
    ) -> Tensor:
        """Foresee: ``[batch, horizon, quantile]`` in raw units, 0 at night."""
        y = super().forward(x, node, calendar, future, profile)
        light = self._light(node[:, None], calendar[:, self.sizes.window :])
        return y * (light > _DARK).to(y.dtype)[:, :, None]

    def ground(
        self, x: Tensor, node: Tensor, calendar: Tensor, future: Tensor | None, profile: Tensor | None
    ) -> Ground:
        """Return nothing (or the curve) as the base and what a clear sky would give as the scale."""
        light = self._light(node[:, None], calendar)
        scale = light.clamp(min=self.floor) * self.scale[node][:, None]
        base = torch.zeros_like(light)
        if self.follow is not None:
            base = torch.nan_to_num(self.follow(x, node, future, self.sizes.horizon))
        return Ground(base=base, scale=scale, dark=(light <= _DARK).to(light.dtype))

    def _rise(self, heads: Tensor, node: Tensor) -> Tensor:
        """Let the quantiles rise as the frame does, from steps as wide as a normal distribution's."""
        steps = softplus(heads - 0.5) * (self.gap * self.stretch[node])
        middle = heads[..., self.median : self.median + 1]
        up = torch.cumsum(steps[..., self.median + 1 :], dim=-1)
        down = torch.cumsum(steps[..., : self.median].flip(-1), dim=-1).flip(-1)
        return torch.cat([middle - down, middle, middle + up], dim=-1)

    def _light(self, node: Tensor, calendar: Tensor) -> Tensor:
        """Look up clear-sky irradiance at calendar rows ``[..., 5]``; nodes broadcast to ``[...]``."""
        slot, fine, full = calendar[..., 0], self.sizes.fine_day, self.sizes.full_day
        if full != fine:
            slot = slot * fine // full
        return self.sky.flatten()[self.place[node] * self.sky.shape[1] + calendar[..., 4] * fine + slot]

    def _lags(
        self, x: Tensor, node: Tensor, calendar: Tensor, profile: Tensor | None, level: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return own readings a period earlier as shares of this day's clear sky, beyond the level."""
        raw = x[:, :, self.lag_at]
        mask = (~torch.isnan(raw)).float()
        if not self.lag_at:
            return raw, mask
        light = self._light(node[:, None], calendar[:, calendar.shape[1] - self.sizes.window :])[:, :, None]
        mask = mask * (light > _DARK).to(mask.dtype)
        scale = light.clamp(min=self.floor) * self.scale[node][:, None, None]
        return (torch.nan_to_num(raw) / scale - level[:, :, None]) * mask, mask

    def _near(
        self, x: Tensor, node: Tensor, calendar: Tensor, profile: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the neighbours as shares of their clear sky beyond their level, and that level."""
        raw = x[:, :, self.near_at]
        if not self.near_at:
            return raw, raw[:, 0]
        others = self.near[node][:, None]  # [batch, 1, neighbour]
        light = self._light(others, calendar[:, : self.sizes.window, None])
        mask = (~torch.isnan(raw)).float() * (light > _DARK).to(raw.dtype)
        apart = torch.nan_to_num(raw) / (light.clamp(min=self.floor) * self.scale[others]) * mask
        level = apart.sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        return (apart - level[:, None]) * mask, level


def _spread(apart: Floats, anchor: Anchor) -> Floats:
    """Return the standard deviation of each column ``[row, node]``; the anchor's scale where it is none."""
    known = np.isfinite(apart)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, apart, 0).sum(axis=0) / count
    spread = np.sqrt(np.where(known, (apart - mean) ** 2, 0).sum(axis=0) / count)
    return np.where(spread > 1e-9 * (1 + np.abs(mean)), spread, anchor.scale)


def _better(task: ForecastTask, lit: _Lit) -> Curve | None:
    """Return the curve of a driver known ahead, if it leaves less than the usual share of a clear sky."""
    drawn = draw(task)
    share = np.nanmedian(_shares(lit), axis=0)
    usual = float(np.nanmean(np.abs(lit.value - lit.light * share)))
    return Curve(task, drawn) if drawn.error < usual else None


def _lit(task: ForecastTask) -> _Lit:
    """Return readings and clear-sky light of the train part, labelled as the readings fit the sun better."""
    rows = task.split.train[-366 * max(1, DAY_NS // task.table.every_ns) :]
    time = (task.table.first + rows) * task.table.every_ns
    value = task.table.value[rows][:, task.targets]
    first, which = _places(task)
    labels: tuple[Label, ...] = ("start", "end")
    best, most = None, -np.inf
    for label in labels:
        sky = [clear_sky(*_at(task, one), time, task.table.every_ns, label=label) for one in first]
        light = np.stack(sky, axis=1)[:, which]
        known = np.isfinite(value)
        fit = [
            np.corrcoef(light[known[:, one], one], value[known[:, one], one])[0, 1]
            for one in range(task.nodes)
            if known[:, one].sum() > 1 and value[known[:, one], one].std() > 0
        ]
        if best is None or np.sum(fit) > most:
            best, most = _Lit(label, light, value), float(np.sum(fit))
    assert best is not None  # noqa: S101  there are two labels
    return best


def _at(task: ForecastTask, node: int) -> tuple[float, float]:
    longitude, latitude = task.places[node].tolist()
    return longitude, latitude


def _places(task: ForecastTask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return a node of each place, and which place each node is at."""
    rounded = np.round(task.places / _SAME_PLACE).astype(np.int64)
    _, first, which = np.unique(rounded, axis=0, return_index=True, return_inverse=True)
    return first.astype(np.int64), which.reshape(-1).astype(np.int64)


def _shares(lit: _Lit) -> Floats:
    """Return output per W/m2 of clear-sky light where there is much of it: ``[row, node]``, else NaN."""
    return np.where(lit.light > _BRIGHT, lit.value / np.maximum(lit.light, 1.0), np.nan)


def _capacity(lit: _Lit) -> Floats:
    """Return the output per W/m2 of clear-sky light on clear days, ``[node]``; never zero."""
    found = np.array(
        [np.nanquantile(one, _CLEAR) if np.isfinite(one).any() else np.nan for one in _shares(lit).T]
    )
    found = np.where(found > 0, found, np.nan)
    usual = float(np.nanmean(found)) if np.isfinite(found).any() else 1e-3
    return np.where(np.isfinite(found), found, usual)
