"""A model of Darts, trained and asked in a Python of its own: ``peer_darts.py IN OUT``.

It runs as a plain script and imports nothing of ours. ``IN`` and ``OUT`` are those of
``peer_nixtla.py``. The models stand as the library makes them, all channels in one multivariate
series, stopped early by the validation part; TiDE normalises each window, without which it fails on
ETT. Source: Herzen et al., Darts, JMLR 23, 2022.
"""

from __future__ import annotations

import importlib
import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["main"]

_EPOCHS = 20
_PATIENCE = 3
_START = np.datetime64("2016-07-01T00:00", "ns")
_RUNS = 5


def main(source: str, target: str) -> None:
    """Train the model on all but the test part and foresee from every instant of it."""
    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    logging.getLogger("darts").setLevel(logging.ERROR)
    given = np.load(source)
    value, test, validation = given["value"], int(given["test"]), int(given["validation"])
    window, horizon = int(given["window"]), int(given["horizon"])
    model = _model(str(given["model"]).split()[-1], window, horizon, int(given["seed"]))
    held = len(value) - test
    train, watched = (
        _series(value[: held - validation], 0),
        _series(value[held - validation - window : held], held - validation - window),
    )
    begun = time.process_time()
    model.fit(train, val_series=watched, verbose=False)
    train_cpu_s, memory = time.process_time() - begun, _peak_mb()
    past = _series(value[held - window :], held - window)
    found = model.historical_forecasts(
        past, forecast_horizon=horizon, stride=1, retrain=False, last_points_only=False, verbose=False
    )
    np.savez(
        target,
        y=np.stack([one.values() for one in found]).astype(np.float32),
        train_cpu_s=train_cpu_s,
        infer_ms=_round_ms(model, past[:window], horizon),
        parameters=sum(one.numel() for one in model.model.parameters()),
        memory_mb=memory,
    )


def _series(value: NDArray[Any], first: int) -> Any:
    """Return a multivariate series that starts ``first`` hours after the beginning."""
    pandas = importlib.import_module("pandas")
    library = importlib.import_module("darts")
    index = pandas.date_range(_START + np.timedelta64(first, "h"), periods=len(value), freq="h")
    return library.TimeSeries.from_times_and_values(index, value.astype(np.float32))


def _model(name: str, window: int, horizon: int, seed: int) -> Any:
    models = importlib.import_module("darts.models")
    stop = importlib.import_module("pytorch_lightning.callbacks").EarlyStopping(
        monitor="val_loss", patience=_PATIENCE
    )
    options = {"use_reversible_instance_norm": True} if name == "TiDE" else {}
    return getattr(models, f"{name}Model")(
        input_chunk_length=window,
        output_chunk_length=horizon,
        n_epochs=_EPOCHS,
        batch_size=128,
        **options,
        random_state=seed + 1,
        pl_trainer_kwargs={
            "accelerator": "cpu",
            "callbacks": [stop],
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "logger": False,
        },
    )


def _round_ms(model: Any, past: Any, horizon: int) -> float:
    """Return the milliseconds of one call for the next forecast of every channel."""
    model.predict(horizon, series=past, verbose=False)
    times = []
    for _ in range(_RUNS):
        begun = time.perf_counter()
        model.predict(horizon, series=past, verbose=False)
        times.append(time.perf_counter() - begun)
    return 1e3 * float(np.median(times))


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(float(one.split()[1]) * 1024 / 1e6 for one in lines if one.startswith("VmHWM:"))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
