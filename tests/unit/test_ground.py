"""What deep forecasts stand on: a clear sky, a power curve, the last reading."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import msgspec
import numpy as np
import onnxruntime
import pytest
import torch

from nervure.core.calendar import calendar
from nervure.core.instant import DAY_NS, HOUR_NS
from nervure.core.problem import Forecast, Ground
from nervure.learn.anchor import Anchor, fit_anchor
from nervure.learn.curve import Curve, power_curve
from nervure.learn.frame import Frame
from nervure.learn.ground import CurveFrame, Label, LastFrame, SunFrame, frame_for
from nervure.learn.model import find_model
from nervure.learn.package import to_onnx
from nervure.learn.sun import clear_sky
from nervure.learn.task import ForecastTask, samples, truth, windows
from nervure.learn.train import Recipe, fit, predict
from tests.series import weekly_task

_PLACES = np.array([[149.1, -35.3], [11.2, 46.1], [11.21, 46.1]])
_GLANCE = Recipe(least_steps=8, epochs=0.01, batch=32)


class _Level(torch.nn.Module):
    """A net that has nothing to add."""

    def __init__(self, task: ForecastTask) -> None:
        super().__init__()
        self.shape = (task.horizon, len(task.quantiles))

    def forward(self, seen: object) -> torch.Tensor:
        return torch.zeros((len(seen.node), *self.shape))  # type: ignore[attr-defined]


@cache
def _sunny(*, ahead: bool = False, label: Label = "end") -> ForecastTask:
    """Return plants whose output is a share of a clear sky, the share ahead where asked."""
    task = weekly_task(weeks=16, window=24, horizon=24, ahead=ahead)
    every, rows = task.table.every_ns, len(task.table.value)
    time = (task.table.first + np.arange(rows)) * every
    random = np.random.default_rng(0)
    cloud = np.repeat(0.3 + 0.7 * random.random(rows // 12 + 1), 12)[:rows]
    places = _PLACES[[0, 0, 0]] if ahead else _PLACES  # the irradiance is that of one place
    light = [clear_sky(place[0], place[1], time, every, label=label) for place in places]
    power = [0.02 * (turn + 1) * one * cloud for turn, one in enumerate(light)]
    value = np.stack([*power, light[0] * cloud], axis=1)
    problem = msgspec.structs.replace(task.problem, ground="clear-sky")
    table = msgspec.structs.replace(task.table, value=value)
    return msgspec.structs.replace(task, table=table, problem=problem, places=places, zone="UTC")


@cache
def _windy(ground: Ground = "power-curve", *, ahead: bool = True) -> ForecastTask:
    """Return turbines that follow their wind by a cubic curve, with a little noise."""
    task = weekly_task(weeks=10, window=24, horizon=6, ahead=ahead)
    random = np.random.default_rng(1)
    rows = len(task.table.value)
    wind = 8 + 5 * np.sin(np.arange(rows) / 17) + random.normal(0, 0.5, rows)
    power = [90 * np.clip(wind / (11 + turn), 0, 1) ** 3 + random.normal(0, 0.3, rows) for turn in range(3)]
    value = np.clip(np.stack([*power, wind], axis=1), 0, 100)
    value[50:60, 0] = np.nan
    problem = msgspec.structs.replace(task.problem, ground=ground)
    return msgspec.structs.replace(
        task, table=msgspec.structs.replace(task.table, value=value), problem=problem
    )


def _frame(task: ForecastTask) -> Frame:
    return frame_for(task, fit_anchor(task, "none"), _Level(task)).eval()


def _tensors(task: ForecastTask, count: int = 40) -> tuple[torch.Tensor, ...]:
    chosen = samples(task, "validation")
    window = windows(task, chosen.take(np.linspace(0, len(chosen) - 1, count).astype(np.int64)))
    given = [window.x, window.node, window.calendar, *([] if window.ahead is None else [window.ahead])]
    return tuple(torch.tensor(one) for one in given)


def test_the_ground_follows_the_problem_and_what_is_known() -> None:
    cases: list[tuple[ForecastTask, type[Frame]]] = [
        (_sunny(), SunFrame),
        (msgspec.structs.replace(_sunny(), places=np.full((3, 2), np.nan)), Frame),
        (msgspec.structs.replace(_sunny(), places=np.empty((0, 2))), Frame),
        (_windy(), CurveFrame),
        (_windy(ahead=False), LastFrame),
        (_windy("last"), LastFrame),
        (msgspec.structs.replace(_windy("last"), blind=True), Frame),
        (_windy("season"), Frame),
    ]
    assert [type(_frame(task)) for task, _ in cases] == [kind for _, kind in cases]
    assert Forecast(of="x", horizon="1h", window="1h").ground == "season"


@pytest.mark.parametrize("label", ["start", "end"])
def test_the_sky_in_the_graph_is_pvlib_s(label: Label) -> None:
    task = _sunny(label=label)
    frame = _frame(task)
    assert isinstance(frame, SunFrame)
    days = calendar("UTC", None, HOUR_NS, 473_352, 366 * 24)  # 2024, of which the table is
    time = (473_352 + np.arange(366 * 24, dtype=np.int64)) * HOUR_NS
    for node, place in enumerate(_PLACES[:2]):
        found = frame._light(torch.full((len(days),), node), torch.from_numpy(days.copy())).numpy()
        real = clear_sky(place[0], place[1], time, HOUR_NS, label=label)
        np.testing.assert_allclose(found, real, rtol=1e-5, atol=1e-3)
    assert frame.sky.shape == (2, 366 * 24)  # two of the plants stand under one sky
    assert frame.place.tolist()[1] == frame.place.tolist()[2]


def test_capacity_is_that_of_clear_days() -> None:
    frame = _frame(_sunny())
    np.testing.assert_allclose(frame.scale.numpy(), 0.02 * np.array([1, 2, 3]) * 0.93, rtol=0.06)


@pytest.mark.parametrize("ahead", [False, True])
def test_night_is_exactly_nothing_and_day_is_not(*, ahead: bool) -> None:
    task = _sunny(ahead=ahead)
    trained = fit(task, model="lstm", recipe=_GLANCE)
    chosen = samples(trained.task, "test").take(slice(0, 200))
    window, real = windows(trained.task, chosen), truth(trained.task, chosen)
    hours = trained.task.table.first + chosen.last[:, None] + 1 + np.arange(24)
    for shift in (0.0, 50.0):  # whatever the readings say
        shifted = msgspec.structs.replace(window, x=(window.x + np.float32(shift)))
        y = predict(trained.module, shifted)
        for node, place in enumerate(task.places):
            rows = chosen.node == node
            light = clear_sky(
                place[0], place[1], hours[rows].ravel() * HOUR_NS, HOUR_NS, label="end"
            ).reshape(-1, 24)
            assert (y[rows][light == 0] == 0).all()
            assert (y[rows][light > 300][:, -1] > 0).all()
    assert (real == 0).mean() > 0.2


def test_what_the_sky_gives_is_foreseen_by_the_level_alone() -> None:
    """With a net that adds nothing the forecast is the window's mean share of the clear sky to come."""
    task = _sunny()
    frame = _frame(task)
    x, node, days = _tensors(task)
    y = frame(x, node, days)[:, :, task.median]
    assert isinstance(frame, SunFrame)
    light = frame._light(node[:, None], days)
    past, share = light[:, :24], frame.scale[node][:, None]
    shares = torch.where(past > 1, x[:, :, 0] / (past.clamp(min=frame.floor) * share), 0)
    index = shares.sum(dim=1) / (past > 1).sum(dim=1)
    expected = index[:, None] * light[:, 24:].clamp(min=frame.floor) * share * (light[:, 24:] > 1)
    np.testing.assert_allclose(y.numpy(), expected.clamp(0, 100).numpy(), rtol=1e-4, atol=1e-4)


def test_irradiance_known_ahead_is_stood_upon_where_it_says_more() -> None:
    frame = _frame(_sunny(ahead=True))
    assert isinstance(frame, SunFrame)
    assert isinstance(frame.follow, Curve)
    noise = _sunny(ahead=True)
    value = noise.table.value.copy()
    value[:, 3] = np.random.default_rng(0).random(len(value))
    deaf = msgspec.structs.replace(noise, table=msgspec.structs.replace(noise.table, value=value))
    assert _frame(deaf).follow is None


def test_a_power_curve_never_falls_and_bridges_what_was_never_seen() -> None:
    wind = np.r_[np.linspace(0, 6, 900), np.linspace(12, 20, 900), np.nan]
    power = np.r_[np.clip(wind[:1800] / 15, 0, 1) ** 3 - 0.02 * (wind[:1800] > 18), np.nan]
    curve = power_curve(wind, power, (0.0, 20.0), 21)
    assert (np.diff(curve) >= 0).all()
    np.testing.assert_allclose(curve[[3, 5, 13, 16]], (np.array([3, 5, 13, 15]) / 15.0) ** 3, atol=0.03)
    assert curve[6] < curve[9] < curve[12]
    assert (power_curve(np.full(3, np.nan), np.ones(3), (0.0, 1.0), 4) == 0).all()


def test_what_is_left_of_the_curve_is_foreseen() -> None:
    """With a net that adds nothing it is the curve of the wind to come, plus the window's residual."""
    task = _windy()
    frame = _frame(task)
    x, node, days, future = _tensors(task)
    real = future[:, :, 0].numpy()
    expected = 90 * np.clip(real / (11 + node.numpy()[:, None]), 0, 1) ** 3
    y = frame(x, node, days, future)[:, :, task.median].numpy()
    assert np.abs(y - expected).max() < 3
    assert np.abs(y - expected).mean() < 0.5
    gone = torch.full_like(future, torch.nan)
    assert torch.isfinite(frame(x, node, days, gone)).all()


def test_without_news_the_last_reading_is_held() -> None:
    task = _windy("last")
    frame = _frame(task)
    x, node, days, future = _tensors(task)
    x[3, -5:, 0] = torch.nan
    y = frame(x, node, days, future)[:, :, task.median]
    expected = x[:, -1:, 0].clone()
    expected[3] = x[3, -6, 0]
    np.testing.assert_allclose(y.numpy(), expected.expand_as(y).numpy(), rtol=1e-5, atol=1e-4)
    x[:, :, 0] = torch.nan
    np.testing.assert_allclose(
        frame(x, node, days, future)[:, 0, task.median].numpy(), frame.table[node].mean(1).numpy(), rtol=1e-4
    )


_CASES: dict[str, Callable[[], ForecastTask]] = {
    "sun": _sunny,
    "sun ahead": lambda: _sunny(ahead=True),
    "wind": lambda: _windy(ahead=False),
    "wind ahead": _windy,
}


@pytest.mark.parametrize("case", _CASES)
@pytest.mark.parametrize("model", ["lstm", "mixer", "flood"])
def test_the_graph_answers_as_torch_does(model: str, case: str) -> None:
    task = _CASES[case]()
    trained = fit(task, model=model, recipe=_GLANCE)
    session = onnxruntime.InferenceSession(to_onnx(trained.module, trained.task))
    chosen = samples(trained.task, "test").take(slice(0, 60, 7))
    window = windows(trained.task, chosen)
    x = window.x.copy()
    x[0] = np.nan
    x[1, ::2] = np.nan
    window = msgspec.structs.replace(window, x=x)
    feeds = {"x": window.x, "node": window.node, "calendar": window.calendar}
    if window.ahead is not None:
        feeds["future"] = window.ahead
    y = session.run(["y"], feeds)[0]
    np.testing.assert_allclose(y, predict(trained.module, window), rtol=1e-4, atol=1e-3)
    assert (np.diff(y, axis=2) >= 0).all()


def test_many_quantiles_start_as_a_normal_distribution() -> None:
    task = _sunny()
    many = tuple(round(number / 100, 2) for number in range(1, 100))
    task = msgspec.structs.replace(task, problem=msgspec.structs.replace(task.problem, quantiles=many))
    frame = _frame(task)
    y = frame._rise(torch.zeros((1, 24, 99)), torch.zeros(1, dtype=torch.int64))[0, 0].numpy()
    unit = np.log1p(np.exp(-0.5))
    np.testing.assert_allclose(y[[4, 24, 49, 74, 94]] / unit, [-1.645, -0.674, 0, 0.674, 1.645], atol=2e-3)


def test_a_blind_net_needs_no_window() -> None:
    task = msgspec.structs.replace(_sunny(ahead=True), blind=True)
    anchor: Anchor = fit_anchor(task, "none")
    module = find_model("lstm").build(task, anchor)
    assert getattr(module.net, "encoder", 0) is None
    chosen = samples(task, "validation").take(slice(0, 30))
    y = predict(module, windows(task, chosen))
    assert np.isfinite(y).all()
    assert y.shape[1] == DAY_NS // HOUR_NS
