"""Falls of a waist-worn sensor by a tiny CNN that runs on the wearable, in eight bits.

It is shown the rows about the strongest acceleration, all windows of one length, so that how long a
recording is cannot tell its class.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nervure.learn.detect.casenet import CaseNet, Cases
from nervure.learn.detect.train import Effort

__all__ = ["FALL", "FallCnn", "in_eight_bits"]

Floats = NDArray[np.float64]

FALL = "fall"
_CALIBRATED = 512  # cases that ranges are measured on


class FallCnn(CaseNet):
    """Classes of short windows of acceleration in g and turning in deg/s, ``x [case, time, channel]``.

    Three acceleration channels come first, then three of turning, if any; what is added inside is
    the length of both vectors, which no wearing angle changes. Not for windows that nothing happened
    in: wake it by acceleration, as a device would (:func:`nervure.learn.detect.body.about_peak`).
    """

    name = "fall_cnn"
    effort = Effort(cpu_s=60, epochs=20, batch=64, rate=4e-3, decay=1e-2)

    def build(self, cases: Cases, classes: int) -> nn.Module:
        """Return the net for these cases."""
        return _FallNet(cases, classes)

    def augment(self, x: Tensor, random: torch.Generator) -> Tensor:
        """Turn the device about its upright axis, move in time a little, change the gain."""
        count = len(x)
        x = torch.roll(x, int(torch.randint(-4, 5, (1,), generator=random)), 1)
        angle = 0.5 * torch.randn(count, 1, generator=random)
        gain = torch.exp(0.05 * torch.randn(count, 1, 1, generator=random))
        cos, sin = torch.cos(angle), torch.sin(angle)
        parts = list(x.unbind(2))
        for first in range(0, len(parts) - 2, 3):
            one, other = parts[first], parts[first + 2]
            parts[first], parts[first + 2] = cos * one - sin * other, sin * one + cos * other
        return torch.stack(parts, dim=2) * gain


class _FallNet(nn.Module):
    mean: Tensor
    deviation: Tensor

    def __init__(self, cases: Cases, classes: int) -> None:
        super().__init__()
        shown = _with_lengths(torch.from_numpy(cases.x))
        self.register_buffer("mean", shown.mean(dim=(0, 1)))
        self.register_buffer("deviation", shown.std(dim=(0, 1)).clamp(min=1e-3))
        layers: list[nn.Module] = []
        into = shown.shape[2]
        for width, kernel in ((16, 5), (24, 5), (32, 3)):
            layers += [nn.Conv1d(into, width, kernel, stride=2, padding=kernel // 2), nn.BatchNorm1d(width)]
            layers.append(nn.ReLU())
            into = width
        time = cases.x.shape[1]
        for _ in range(3):
            time = (time + 1) // 2
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(into * time, classes))

    def forward(self, x: Tensor, extra: Tensor) -> Tensor:
        z = (_with_lengths(x) - self.mean) / self.deviation
        found: Tensor = self.layers(z.transpose(1, 2))
        return found


def _with_lengths(x: Tensor) -> Tensor:
    lengths = [
        torch.sqrt((x[:, :, first : first + 3] ** 2).sum(dim=2, keepdim=True) + 1e-6)
        for first in range(0, x.shape[2] - 2, 3)
    ]
    return torch.cat([x, *lengths], dim=2)


def in_eight_bits(graph: bytes, cases: Cases) -> bytes:
    """Return a graph of one input ``x`` in eight bits, its ranges measured on cases of the training part.

    Static quantisation of ONNX Runtime: weights of each output channel and activations as int8
    between QuantizeLinear and DequantizeLinear, which devices' compilers read too.
    """
    from onnxruntime import quantization

    shown = cases.x[np.linspace(0, len(cases) - 1, min(_CALIBRATED, len(cases))).astype(int)]

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._rest: Iterator[dict[str, Any]] = iter([{"x": one[None]} for one in shown])

        def get_next(self) -> dict[str, Any] | None:
            return next(self._rest, None)

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain, ready, small = (Path(folder) / name for name in ("plain.onnx", "ready.onnx", "small.onnx"))
        plain.write_bytes(graph)
        quantization.quant_pre_process(plain, ready, skip_symbolic_shape=True)
        quantization.quantize_static(
            ready, small, Reader(), quant_format=quantization.QuantFormat.QDQ, per_channel=True,
            op_types_to_quantize=["Conv", "Gemm", "MatMul"],
            activation_type=quantization.QuantType.QInt8, weight_type=quantization.QuantType.QInt8,
        )  # fmt: skip
        return small.read_bytes()
