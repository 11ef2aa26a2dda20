"""A model of NeuralForecast, trained and asked in a Python of its own: ``peer_nixtla.py IN OUT``.

It runs as a plain script and imports nothing of ours, so that the library may live in another
environment. ``IN`` is an ``.npz`` of ``value [time, channel]`` (scaled), ``horizon``, ``window``,
``validation`` and ``test`` (slots at the end), ``seed`` and ``model``; ``OUT`` holds ``y [origin,
horizon, channel]`` and the costs. The models stand as the library makes them, with early stopping
on the validation part; only the LSTM is narrower, as it would take half an hour otherwise. Source:
Olivares et al., NeuralForecast, github.com/Nixtla/neuralforecast.
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

_STEPS = 1000
_LOOK = 50  # steps between two looks at the validation part
_PATIENCE = 4
_START = np.datetime64("2016-07-01T00:00", "ns")
_RUNS = 5


def main(source: str, target: str) -> None:
    """Train the model on all but the test part and foresee from every instant of it."""
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    given = np.load(source)
    value, test = given["value"], int(given["test"])
    name, horizon = str(given["model"]).split()[-1], int(given["horizon"])
    library = importlib.import_module("neuralforecast")
    model = _model(name, value.shape[1], int(given["window"]), horizon, int(given["seed"]))
    whole = library.NeuralForecast(models=[model], freq="h")
    begun = time.process_time()
    whole.fit(_frame(value[: len(value) - test]), val_size=int(given["validation"]))
    train_cpu_s, memory = time.process_time() - begun, _peak_mb()
    found = whole.cross_validation(
        _frame(value), test_size=test, n_windows=None, step_size=1, refit=False, use_fitted=True
    )
    found = found.sort_values(["unique_id", "cutoff", "ds"])
    y = found[name].to_numpy(np.float32).reshape(value.shape[1], -1, horizon).transpose(1, 2, 0)
    np.savez(
        target,
        y=y,
        train_cpu_s=train_cpu_s,
        infer_ms=_round_ms(whole),
        parameters=sum(one.numel() for one in whole.models[0].parameters()),
        memory_mb=memory,
    )


def _frame(value: NDArray[Any]) -> Any:
    """Return the long frame ``unique_id, ds, y`` that the library takes."""
    pandas = importlib.import_module("pandas")
    count, channels = value.shape
    hours = _START + np.arange(count) * np.timedelta64(1, "h")
    return pandas.DataFrame(
        {
            "unique_id": np.repeat([f"c{one}" for one in range(channels)], count),
            "ds": np.tile(hours, channels),
            "y": value.T.reshape(-1).astype(np.float32),
        }
    )


def _model(name: str, channels: int, window: int, horizon: int, seed: int) -> Any:
    models = importlib.import_module("neuralforecast.models")
    options: dict[str, Any] = {
        "h": horizon,
        "input_size": window,
        "max_steps": _STEPS,
        "val_check_steps": _LOOK,
        "early_stop_patience_steps": _PATIENCE,
        "random_seed": seed + 1,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        "logger": False,
        "accelerator": "cpu",
    }
    if name == "TSMixerx":
        options["n_series"] = channels
    if name == "LSTM":
        options |= {"encoder_hidden_size": 64, "encoder_n_layers": 1}
    return getattr(models, name)(**options)


def _round_ms(whole: Any) -> float:
    """Return the milliseconds of one call for the next forecast of every channel."""
    whole.predict()
    times = []
    for _ in range(_RUNS):
        begun = time.perf_counter()
        whole.predict()
        times.append(time.perf_counter() - begun)
    return 1e3 * float(np.median(times))


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(float(one.split()[1]) * 1024 / 1e6 for one in lines if one.startswith("VmHWM:"))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
