"""New sensors are taken up by nets that never saw them, and nothing of their past leaks in."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from nervure.core.card import Channel, Metric
from nervure.core.error import DataError, ModelError
from nervure.core.instant import HOUR_NS
from nervure.core.problem import Forecast
from nervure.core.window import Table
from nervure.learn.adapt import Admitted, admit
from nervure.learn.cold import PooledLinear, cold_start, newly, only, transfer
from nervure.learn.evaluate import forecast
from nervure.learn.fine_tune import fine_tune
from nervure.learn.package import to_onnx
from nervure.learn.split import by_time
from nervure.learn.task import ForecastTask, Samples, samples, windows
from nervure.learn.train import Recipe, Trained, fit, predict

SMALL = {"hidden": 48, "decoder": 32, "context": 8}
SHORT = Recipe(least_steps=120, epochs=0.1, batch=64, options=SMALL)
DAY = 24


def _site(*, nodes: int = 10, weeks: int = 8, seed: int = 0, kinds: int = 2) -> ForecastTask:
    """Return hourly sensors of a few kinds: each has its own level and size, kinds differ in their day."""
    random = np.random.default_rng(seed)
    hours = np.arange(weeks * 168)
    columns = []
    for node in range(nodes):
        phase = 2.5 * (node % kinds)
        day = np.sin(2 * np.pi * hours / DAY + phase) + 0.5 * np.sin(4 * np.pi * hours / DAY + 2 * phase)
        size = 4 * random.uniform(0.6, 1.6)
        columns.append(40 + 10 * random.random() + size * day + random.normal(0, 0.6, len(hours)))
    value = np.stack(columns, axis=1)
    third = len(value) // 6
    names = tuple(f"s{seed}-{node}/load" for node in range(nodes))
    return ForecastTask(
        solution="toy",
        problem=Forecast(of="load", horizon="12h", window="12h"),
        table=Table(streams=names, first=447_000, every_ns=HOUR_NS, value=value),
        names=names,
        targets=np.arange(nodes),
        channels=np.arange(nodes)[:, None],
        inputs=(Channel(signal="load"),),
        ahead=np.empty((nodes, 0), dtype=np.int64),
        split=by_time((0, len(value) - 2 * third, len(value) - third, len(value))),
        zone="UTC",
        window=12,
        horizon=12,
        low=0.0,
        high=200.0,
        report_at=(12,),
    )


NEW = np.array([0, 5])


@pytest.fixture(name="task", scope="module")
def _task() -> ForecastTask:
    return _site()


@pytest.fixture(name="net", scope="module")
def _net(task: ForecastTask) -> Trained:
    known = np.setdiff1d(np.arange(task.nodes), NEW)
    return fit(only(task, known), budget_s=30, recipe=SHORT)


def _rows(task: ForecastTask, days: int) -> np.ndarray:
    first = int(task.split.test[0])
    return np.arange(first - days * DAY, first)


def _mae(rows: list[Metric], subject: str) -> float:
    (found,) = [
        row.value for row in rows if (row.subject, row.metric, row.horizon) == (subject, "MAE", "avg")
    ]
    return found


def test_only_some_nodes_is_the_task_without_the_others(task: ForecastTask) -> None:
    some = only(task, np.array([3, 1]))
    assert some.names == (task.names[3], task.names[1])
    window = windows(some, Samples(last=np.array([100]), node=np.array([0])))
    assert np.allclose(window.x[0, :, 0], task.table.value[89:101, 3])


def test_a_new_sensor_has_no_past_but_the_weather_has(task: ForecastTask) -> None:
    weather = np.arange(len(task.table.value), dtype=float)[:, None]
    table = msgspec.structs.replace(task.table, value=np.concatenate([task.table.value, weather], axis=1))
    wide = msgspec.structs.replace(
        task,
        table=table,
        channels=np.concatenate([task.channels, np.full((task.nodes, 1), task.nodes)], axis=1),
        inputs=(*task.inputs, Channel(signal="weather", shared=True)),
    )
    for nodes in (NEW, np.arange(task.nodes)):
        seen = newly(wide, nodes, 700).table.value
        assert np.isnan(seen[:700, nodes]).all()
        assert not np.isnan(seen[700:]).any()
        rest = np.setdiff1d(np.arange(task.nodes + 1), nodes)
        assert not np.isnan(seen[:, rest]).any()
    assert not np.isnan(wide.table.value).any()


def test_known_sensors_are_foreseen_as_before(task: ForecastTask, net: Trained) -> None:
    rows = _rows(task, 1)
    admitted = admit(net, newly(task, NEW, int(rows[0])), rows)
    assert admitted.task.names == task.names
    window = windows(net.task, Samples(last=np.array([900, 900]), node=np.array([2, 7])))
    wanted = predict(net.module, window)
    place = np.array([task.names.index(net.task.names[one]) for one in (2, 7)])
    again = windows(admitted.task, Samples(last=np.array([900, 900]), node=place))
    # the newest slot of a neighbour is never shown
    whole = np.isfinite(window.x[:, :-1]).all(axis=(1, 2)) & np.isfinite(again.x[:, :-1]).all(axis=(1, 2))
    assert whole.any()
    assert np.allclose(predict(admitted.module, again)[whole], wanted[whole], rtol=1e-4, atol=1e-4)


def test_the_profile_of_a_new_sensor_is_near_the_one_it_would_have(task: ForecastTask, net: Trained) -> None:
    rows = _rows(task, 1)
    module = admit(net, newly(task, NEW, int(rows[0])), rows).module
    slot = (task.table.first + np.arange(len(task.table.value)) + 72) % 168  # 1970-01-01 was a Thursday
    for node in NEW:
        real = np.array([task.table.value[slot == one, node].mean() for one in range(168)])
        away = np.abs(module.table[node].numpy() - real).mean()
        flat = np.abs(real - real.mean()).mean()
        assert away < 0.25 * flat
        others = net.module.table.numpy().mean(axis=0)
        assert away < 0.5 * np.abs(others - real).mean(), "the mean of all is worse"


def test_only_the_days_given_are_looked_at(task: ForecastTask, net: Trained) -> None:
    rows = _rows(task, 1)
    seen = newly(task, NEW, int(rows[0]))
    value = seen.table.value.copy()
    value[np.ix_(np.setdiff1d(np.arange(len(value)), rows), NEW)] = 77.0
    false = msgspec.structs.replace(seen, table=msgspec.structs.replace(seen.table, value=value))
    one, other = admit(net, seen, rows).module, admit(net, false, rows).module
    assert all(
        bool((first == second).all())
        for first, second in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


def test_new_sensors_beat_plain_ones_after_a_day(task: ForecastTask, net: Trained) -> None:
    rows = cold_start(task, trained=net)
    for days in (0, 1, 3):
        assert _mae(rows, f"mixer after {days} d") < _mae(rows, f"last value after {days} d")
    for days in (1, 3):
        ours = _mae(rows, f"mixer after {days} d")
        assert ours < _mae(rows, f"seasonal naive day after {days} d")
        assert ours < 0.8, "the noise itself is worth 0.48"
    assert _mae(rows, "mixer after 3 d") <= _mae(rows, "mixer after 0 d")
    cover = [row.value for row in rows if row.metric == "coverage_80" and row.subject == "mixer after 3 d"]
    assert 0.7 < cover[0] < 0.9
    assert not [row for row in rows if row.subject == "historical average after 0 d"]
    assert np.isfinite([row.value for row in rows if row.metric == "MAE"]).all()


def test_a_sensor_that_was_in_training_is_no_new_one(task: ForecastTask, net: Trained) -> None:
    with pytest.raises(DataError, match="was in training"):
        cold_start(task, offset=1, trained=net)
    with pytest.raises(DataError, match="cannot be parted"):
        cold_start(only(task, np.array([0])), trained=net)


def test_what_was_admitted_can_be_packaged(task: ForecastTask, net: Trained) -> None:
    import onnxruntime

    rows = _rows(task, 3)
    admitted = admit(net, newly(task, NEW, int(rows[0])), rows)
    graph = onnxruntime.InferenceSession(to_onnx(admitted.module, admitted.task))
    window = windows(admitted.task, samples(admitted.task, "test").take(slice(0, 20)))
    y = graph.run(["y"], {"x": window.x, "node": window.node, "calendar": window.calendar})[0]
    assert np.allclose(y, predict(admitted.module, window), rtol=1e-4, atol=1e-3)


def test_what_does_not_fit_is_refused(task: ForecastTask, net: Trained) -> None:
    rows = _rows(task, 1)
    joint = msgspec.structs.replace(net, task=msgspec.structs.replace(net.task, joint=True))
    with pytest.raises(ModelError, match="sees all sensors at once"):
        admit(joint, task, rows)
    with pytest.raises(DataError, match="12 slots for 12"):
        admit(net, msgspec.structs.replace(task, horizon=6), rows)
    table = msgspec.structs.replace(task.table, every_ns=HOUR_NS // 2)
    with pytest.raises(DataError, match="another interval"):
        admit(net, msgspec.structs.replace(task, table=table), rows)


def test_a_new_site_is_foreseen_better_than_plainly(task: ForecastTask) -> None:
    other = _site(nodes=3, seed=5)
    few = only(task, np.arange(5))
    rows = transfer(few, other, budget_s=20, recipe=SHORT, tuning=24)
    ours = _mae(rows, "mixer brought")
    assert ours < _mae(rows, "last value")
    assert ours < _mae(rows, "seasonal naive day")
    assert _mae(rows, "mixer brought and tuned") < 1.1 * ours
    assert _mae(rows, "mixer from scratch") > 0
    named = msgspec.structs.replace(other, names=tuple(f"other {one}" for one in other.names))
    assert transfer(few, named, budget_s=20, recipe=SHORT, tuning=24) == rows, "a name shared makes no kin"


def test_tuning_looks_at_its_rows_alone_and_keeps_what_was_if_it_helps_nothing(
    task: ForecastTask, net: Trained
) -> None:
    rows = _rows(task, 7)
    admitted = admit(net, newly(task, NEW, int(rows[0])), rows)
    first = fine_tune(admitted, rows, steps=24)
    value = admitted.task.table.value.copy()
    value[int(rows[-1]) + 1 :] = 77.0
    table = msgspec.structs.replace(admitted.task.table, value=value)
    blind = msgspec.structs.replace(admitted, task=msgspec.structs.replace(admitted.task, table=table))
    second = fine_tune(blind, rows, steps=24)
    for one, other in zip(first.module.parameters(), second.module.parameters(), strict=True):
        assert bool((one == other).all())
    wild = fine_tune(admitted, rows, steps=24, rate=10.0)
    assert wild.steps == admitted.steps
    for one, other in zip(wild.module.parameters(), admitted.module.parameters(), strict=True):
        assert bool((one == other).all())


def test_the_pooled_line_knows_no_node(task: ForecastTask) -> None:
    fitted = PooledLinear().fit(task)
    chosen = samples(task, "test").take(slice(0, 50))
    window = windows(task, chosen, history=fitted.history)
    moved = msgspec.structs.replace(window, x=window.x + 30)
    assert np.allclose(fitted._point(moved), fitted._point(window) + 30, atol=1e-3)
    gone = msgspec.structs.replace(window, x=np.full_like(window.x, np.nan))
    assert np.isfinite(fitted.predict(gone)).all()
    few = Recipe(least_steps=5, epochs=0.01, options=SMALL)
    y = forecast(task, Admitted(fit(task, budget_s=5, recipe=few)), chosen)
    assert y.shape == (50, 12, 5)
