"""A monitor as one signed file: its detectors as an ONNX graph, what it was taught as JSON beside it.

``score [batch, sense]``, ``part`` and ``expected [batch, sense, stream]`` of ``x [batch, time, stream]``,
which are readings less what is usual of them; the metadata's ``nervure.monitor`` is the ``Setup``.
"""

from __future__ import annotations

import msgspec
import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from nervure.core.error import ModelError
from nervure.core.monitor import SETUP_KEY
from nervure.learn.detect.monitor import Monitor
from nervure.learn.detect.windowed import OUTPUTS, to_onnx
from nervure.trust.signature import SigningKey, sign

__all__ = ["ship"]

_AGREE = 1e-4  # the graph and torch may differ by this share of the largest answer
_PROBE = 24


def ship(monitor: Monitor, key: SigningKey) -> bytes:
    """Return the file of a monitor, its signature as its tail; ``score.sentinel`` runs it.

    Raises ``ModelError`` where the graph does not answer as torch does, also where readings are missing.
    """
    setup, module = monitor.setup, monitor.bundle().eval()
    graph = to_onnx(module, setup.window, len(setup.streams))
    _check(graph, module, _probe(monitor))
    model = onnx.load_from_string(graph)
    onnx.helper.set_model_props(model, {SETUP_KEY: msgspec.json.encode(setup).decode()})
    return sign(model.SerializeToString(deterministic=True), key)


def _probe(monitor: Monitor) -> NDArray[np.float32]:
    """Return windows about the usual, ``[batch, time, stream]``: calm, odd, with gaps, and one empty."""
    setup, random = monitor.setup, np.random.default_rng(0)
    blank = np.zeros((1, setup.window, len(setup.streams)), dtype=np.float32)
    with torch.inference_mode():
        middle = monitor.bundle().eval()(torch.from_numpy(blank))[2][0, 0].numpy().astype(np.float64)
    usual = np.array(setup.usual)
    noise = np.cumsum(random.normal(size=(_PROBE, setup.window, len(usual))), axis=1)
    x = middle + usual * noise * np.linspace(0.1, 3, _PROBE)[:, None, None]
    x[1::3][random.random(x[1::3].shape) < 0.2] = np.nan
    x[2, :, 0] = np.nan
    x[5, -1] = np.nan
    x[8] = np.nan
    probe: NDArray[np.float32] = x.astype(np.float32)
    return probe


def _check(graph: bytes, module: torch.nn.Module, probe: NDArray[np.float32]) -> None:
    """Hold the graph against torch."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    found = session.run(list(OUTPUTS), {"x": probe})
    with torch.inference_mode():
        wanted = [one.numpy() for one in module(torch.from_numpy(probe))]
    for name, own, theirs in zip(OUTPUTS, found, wanted, strict=True):
        same = np.isnan(own) == np.isnan(theirs)
        apart = float(np.nanmax(np.abs(own - theirs), initial=0.0))
        apart /= 1e-9 + float(np.nanmax(np.abs(theirs), initial=0.0))
        if not same.all() or apart > _AGREE:
            raise ModelError(
                f"the ONNX graph of a monitor answers {name} {apart:.1e} away from torch",
                hint="a detector may use only operations that ONNX knows, and no shape that varies",
            )
