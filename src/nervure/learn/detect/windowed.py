"""Detectors whose score of a row is a graph of the window that ends there: arrays, live steps, ONNX.

One module does it all: ``module(x [batch, time, channel])`` with NaN where nothing was read answers
``score [batch]``, larger where odder; ``part [batch, channel]``, what each channel did to it, none
below 0; and ``expected [batch, channel]``, what the newest row should have read, in the channels' units.
Scalers and masks are inside the module, so the file that is shipped needs nothing beside it.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nervure.core.error import ModelError
from nervure.learn.detect.block import Block

__all__ = ["OUTPUTS", "Judged", "Stepper", "Windowed", "ending", "to_onnx"]

Floats = NDArray[np.float64]
_CHUNK = 1024
_OPSET = 17
OUTPUTS = ("score", "part", "expected")


class Judged(NamedTuple):
    """What a detector says of rows: ``score [row]``, ``part [row, channel]``, ``expected [row, channel]``."""

    score: Floats
    part: Floats
    expected: Floats


class Windowed:
    """A detector that looks at the last ``window`` rows; see the module's text for ``module``.

    A model's file derives from this, sets ``name`` and ``window``, and sets ``module`` in ``fit``.
    """

    name: str = ""
    kind: Literal["baseline", "deep", "peer"] = "deep"
    window: int = 1
    module: nn.Module | None = None
    channels: tuple[str, ...] = ()

    def fit(self, *blocks: Block) -> Self:
        """Learn what is normal from records of the same channels."""
        raise NotImplementedError

    def judge(self, value: Floats) -> Judged:
        """Judge every row of one record ``[row, channel]``, each from itself and earlier ones alone."""
        if self.module is None:
            raise ModelError(f"{self.name} has not been fitted")
        if value.ndim != 2 or value.shape[1] != len(self.channels):
            raise ModelError(f"{self.name}: values of {value.shape} do not fit {len(self.channels)} channels")
        shown, parts = ending(value.astype(np.float32), self.window), []
        with torch.inference_mode():
            for start in range(0, len(value), _CHUNK):
                x = torch.from_numpy(
                    shown[start : start + _CHUNK].copy()
                )  # a window of 1 is a read-only view
                parts.append([one.numpy().astype(np.float64) for one in self.module(x)])
        score, part, expected = (np.concatenate([one[at] for one in parts]) for at in range(3))
        return Judged(score, part, expected)

    def score(self, value: Floats) -> Floats:
        """Score the rows of one record, ``[row]``."""
        return self.judge(value).score

    def contributions(self, value: Floats) -> Floats:
        """Return what each channel did to the score of each row, ``[row, channel]``."""
        return self.judge(value).part

    def expected(self, value: Floats) -> Floats:
        """Return what each row should have read, ``[row, channel]``."""
        return self.judge(value).expected

    def stepper(self) -> Stepper:
        """Return this detector for rows that come one at a time."""
        return Stepper(self)

    def to_onnx(self) -> bytes:
        """Return the graph: ``x [batch, window, channel]`` to ``score``, ``part`` and ``expected``."""
        if self.module is None:
            raise ModelError(f"{self.name} has not been fitted")
        return to_onnx(self.module, self.window, len(self.channels))

    def _begin(self, blocks: tuple[Block, ...]) -> None:
        """Note the channels; every block must have the same."""
        self.channels = blocks[0].channels


class Stepper:
    """A detector fed one row at a time: the same answers, bit for bit, as on the whole array."""

    def __init__(self, detector: Windowed) -> None:
        self._detector = detector
        self._ring = np.full((detector.window, len(detector.channels)), np.nan)

    def step(self, row: Floats) -> Judged:
        """Judge one more row ``[channel]``."""
        self._ring = np.concatenate([self._ring[1:], np.asarray(row, dtype=np.float64)[None]])
        module = self._detector.module
        if module is None:
            raise ModelError(f"{self._detector.name} has not been fitted")
        with torch.inference_mode():
            found = module(torch.from_numpy(self._ring[None].astype(np.float32)))
        score, part, expected = (one.numpy().astype(np.float64)[0] for one in found)
        return Judged(score, part, expected)


def ending(value: NDArray[np.float32], window: int) -> NDArray[np.float32]:
    """Return the window that ends at each row, ``[row, time, channel]``: no copy, NaN before the first.

    >>> ending(np.array([[1.0], [2.0]], dtype=np.float32), 2)[:, :, 0].tolist()
    [[nan, 1.0], [1.0, 2.0]]
    """
    before = np.full((window - 1, value.shape[1]), np.nan, dtype=np.float32)
    whole = np.concatenate([before, value])
    return np.lib.stride_tricks.sliding_window_view(whole, window, axis=0).transpose(0, 2, 1)


def to_onnx(module: nn.Module, window: int, channels: int, outputs: tuple[str, ...] = OUTPUTS) -> bytes:
    """Write a module over ``x [batch, window, channel]`` as an ONNX graph whose batch is free."""
    example = torch.zeros(2, window, channels)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shapes that are fixed are traced as constants
        file = Path(folder) / "model.onnx"
        torch.onnx.export(
            module.to("cpu").eval(), (example,), file, dynamo=False, input_names=["x"],
            output_names=list(outputs), dynamic_axes={name: {0: "batch"} for name in ("x", *outputs)},
            opset_version=_OPSET,
        )  # fmt: skip
        return file.read_bytes()
