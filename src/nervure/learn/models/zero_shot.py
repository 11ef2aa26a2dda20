"""Forecasts by large pretrained models that were never shown the stream: Chronos, TiRex, TimesFM.

An adapter, not a net of ours: there is nothing to train and nothing to package. The weights lie in a
folder of the user's (``weights=``, or ``NERVURE_WEIGHTS``); nothing is fetched. Which library reads
them is told from the files: ``chronos-forecasting`` (Chronos-2, Chronos-Bolt), ``tirex-ts`` (TiRex),
``timesfm`` (TimesFM 2.5). Chronos-2 is given the drivers too, also those known ahead. Sources: Ansari
et al., arXiv:2510.15821 and TMLR 2024; Auer et al., arXiv:2505.23719; Das et al., ICML 2024.

When not to use it: where an answer must come within milliseconds on a small machine, or where a
model trained on the stream itself has proved better; a stream with little history is its place.
"""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from nervure.core.error import DataError, DeclarationError
from nervure.core.window import Window
from nervure.learn.baseline import middle
from nervure.learn.task import ForecastTask, Plain

__all__ = ["ZeroShot", "library_of"]

Floats = NDArray[np.float32]
Library = Literal["chronos", "tirex", "timesfm"]

_DECILES = tuple(round(number / 10, 1) for number in range(1, 10))
_PACKAGES = {"chronos": "chronos-forecasting", "tirex": "tirex-ts", "timesfm": "timesfm"}


class ZeroShot(Plain):
    """A pretrained model as a forecaster, to stand in one table with the others.

    ``context`` is how many slots of the past it is shown at most, ``batch`` how many windows at once.
    """

    kind: Literal["peer"] = "peer"
    history = 0

    def __init__(
        self, weights: str | Path | None = None, *, context: int = 1024, batch: int = 64, name: str = ""
    ) -> None:
        given = weights or os.environ.get("NERVURE_WEIGHTS")
        if not given:
            raise DataError("no weights are named", hint="set NERVURE_WEIGHTS to the folder that holds them")
        self.path = Path(given).expanduser()
        self.library = library_of(self.path)
        self.name = name or f"{self.library} zero-shot"
        self.context, self.batch = context, batch
        self._model: Any = None
        self._levels = _DECILES
        self._task: ForecastTask | None = None
        self._middle: NDArray[np.float64] | None = None

    def fit(self, task: ForecastTask) -> ZeroShot:
        """Load the weights; of the task only the shape is taken, and medians for empty windows."""
        if self._model is None:
            self._model, levels = _LOADERS[self.library](self.path)
            self._levels = tuple(float(one) for one in levels)
        rows = len(task.table.value)
        self.history = max(task.window, min(self.context, rows))
        self._task, self._middle = task, middle(task)
        return self

    def predict(self, window: Window) -> Floats:
        """Foresee with the pretrained model: ``[batch, horizon, quantile]``."""
        if self._task is None or self._middle is None:
            raise DeclarationError(f"{self.name} was not fitted", hint="call fit first")
        past = window.x[:, :, 0].astype(np.float32)
        empty = np.isnan(past).all(axis=1, keepdims=True)
        past = np.where(empty, self._middle[window.node][:, None].astype(np.float32), past)
        ask = getattr(self, f"_{self.library}")
        parts = [
            ask(past[rows], window, rows)
            for rows in (slice(at, at + self.batch) for at in range(0, len(past), self.batch))
        ]
        found = np.concatenate(parts) if parts else np.empty((0, self._task.horizon, len(self._levels)))
        y = _at(found.astype(np.float64), self._levels, self._task.quantiles)
        low, high = self._task.low, self._task.high
        clipped: Floats = (y if low is None and high is None else np.clip(y, low, high)).astype(np.float32)
        return clipped

    def _chronos(self, past: Floats, window: Window, rows: slice) -> NDArray[np.float32]:
        """Ask Chronos: ``[row, horizon, level]``; Chronos-2 is given the drivers too."""
        task = self._task
        assert task is not None  # noqa: S101  predict has seen to it
        inputs: Any = torch.from_numpy(past)
        if hasattr(self._model, "predict_df") and len(task.inputs) > 1 and self._several:
            inputs = [self._with_drivers(past[one], window, rows.start + one) for one in range(len(past))]
        found, _ = self._model.predict_quantiles(
            inputs, prediction_length=task.horizon, quantile_levels=list(self._levels)
        )
        answers = [torch.as_tensor(one).reshape(task.horizon, -1) for one in found]
        quantiles: NDArray[np.float32] = torch.stack(answers).float().numpy()
        return quantiles

    @property
    def _several(self) -> bool:
        """Whether the model takes drivers: Chronos-2 does, Chronos-Bolt does not."""
        return type(self._model).__name__ == "Chronos2Pipeline"

    def _with_drivers(self, past: Floats, window: Window, row: int) -> dict[str, Any]:
        task = self._task
        assert task is not None  # noqa: S101  predict has seen to it
        names = [one.signal for one in task.inputs]
        drivers = {name: window.x[row, :, place] for place, name in enumerate(names) if place}
        asked: dict[str, Any] = {"target": past, "past_covariates": drivers}
        if window.ahead is not None:
            ahead = {name: window.ahead[row, :, place] for place, name in enumerate(task.problem.future)}
            asked["future_covariates"] = ahead
        return asked

    def _tirex(self, past: Floats, window: Window, rows: slice) -> NDArray[np.float32]:
        """Ask TiRex: ``[row, horizon, level]``."""
        assert self._task is not None  # noqa: S101  predict has seen to it
        found, _ = self._model.forecast(
            torch.from_numpy(past),
            prediction_length=self._task.horizon,
            output_type="numpy",
            batch_size=len(past),
        )
        quantiles: NDArray[np.float32] = np.asarray(found, dtype=np.float32)
        return quantiles

    def _timesfm(self, past: Floats, window: Window, rows: slice) -> NDArray[np.float32]:
        """Ask TimesFM, compiled for the window and the horizon: ``[row, horizon, level]``."""
        assert self._task is not None  # noqa: S101  predict has seen to it
        sizes = (past.shape[1], self._task.horizon)
        if getattr(self, "_compiled", None) != sizes:
            config = importlib.import_module("timesfm").ForecastConfig(
                max_context=sizes[0],
                max_horizon=sizes[1],
                normalize_inputs=True,
                per_core_batch_size=self.batch,
                fix_quantile_crossing=True,
                infer_is_positive=False,
            )
            self._model.compile(config)
            self._compiled = sizes
        _, found = self._model.forecast(horizon=sizes[1], inputs=list(past.copy()))
        quantiles: NDArray[np.float32] = np.asarray(found, dtype=np.float32)[
            :, :, 1:
        ]  # the first is the mean
        return quantiles


def library_of(path: Path) -> Library:
    """Tell from its files which library reads a checkpoint.

    Raises ``DataError`` where there is none, or one that none of the three reads.
    """
    if not path.exists():
        raise DataError("the weights are not there", where=str(path), hint="name a folder with a checkpoint")
    config = path / "config.json"
    if config.is_file() and "chronos_config" in json.loads(config.read_text()):
        return "chronos"
    if _checkpoint(path) is not None:
        return "tirex"
    if (path / "model.safetensors").is_file():
        return "timesfm"
    raise DataError(
        "no checkpoint of Chronos, TiRex or TimesFM",
        where=str(path),
        hint="looked for: config.json with a chronos_config, model.ckpt (TiRex), model.safetensors (TimesFM)",
    )


def _checkpoint(path: Path) -> Path | None:
    """Return TiRex' checkpoint: the file itself, or ``model.ckpt`` in the folder."""
    file = path if path.is_file() else path / "model.ckpt"
    return file if file.is_file() and file.suffix == ".ckpt" else None


def _library(name: Library) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as cause:
        package = _PACKAGES[name]
        raise DataError(f"these weights need {package}", hint="pip install 'nervure[zeroshot]'") from cause


def _load_chronos(path: Path) -> tuple[Any, Any]:
    pipeline = _library("chronos").BaseChronosPipeline.from_pretrained(str(path), device_map="cpu")
    return pipeline, getattr(pipeline, "quantiles", _DECILES)


def _load_tirex(path: Path) -> tuple[Any, Any]:
    model = _library("tirex").TiRexZero.from_pretrained(str(_checkpoint(path)), backend="torch", device="cpu")
    return model, model.config.quantiles


def _load_timesfm(path: Path) -> tuple[Any, Any]:
    kind = _library("timesfm").TimesFM_2p5_200M_torch
    model = kind(torch_compile=False)
    model.load_checkpoint(str(path), torch_compile=False)
    return model, model.model.config.quantiles


_LOADERS = {"chronos": _load_chronos, "tirex": _load_tirex, "timesfm": _load_timesfm}


def _at(
    found: NDArray[np.float64], levels: tuple[float, ...], wanted: tuple[float, ...]
) -> NDArray[np.float64]:
    """Return quantiles from those of other levels, ``[..., level]``, along a normal distribution."""
    ordered = np.sort(found, axis=-1)
    have = np.array([NormalDist().inv_cdf(one) for one in levels])
    want = np.array([NormalDist().inv_cdf(one) for one in wanted])
    place = np.clip(np.searchsorted(have, want, side="right") - 1, 0, len(have) - 2)
    part = (want - have[place]) / (have[place + 1] - have[place])
    mixed: NDArray[np.float64] = ordered[..., place] * (1 - part) + ordered[..., place + 1] * part
    return np.maximum.accumulate(mixed, axis=-1)
