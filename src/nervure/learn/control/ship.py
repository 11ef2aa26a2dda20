"""A learned controller as one signed ONNX file, with its Card in it; `act.controller.package` opens it."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from nervure.core.card import CARD_KEY, Card, Channel
from nervure.core.error import ModelError
from nervure.core.instant import SECOND_NS, iso, to_ns
from nervure.core.problem import Control
from nervure.core.sight import FEATURES
from nervure.learn.control.net import PhaseNet
from nervure.trust.signature import SigningKey, sign

__all__ = ["pack", "ship"]

_OPSET = 17
_AGREE = 1e-4


class _Whole(torch.nn.Module):
    """The net for one junction size at a time: every phase is there."""

    def __init__(self, net: PhaseNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rated: torch.Tensor = self.net(x, torch.ones_like(x[..., 0]))
        return rated


def ship(net: PhaseNet, *, name: str, by: str, key: SigningKey, train_cpu_s: float, notes: str = "") -> bytes:
    """Return the file: ``x [batch, phase, feature]`` to ``y [batch, phase]``, the highest to be shown.

    Raises ``ModelError`` where the graph does not answer as torch does.
    """
    whole = _Whole(net).eval()
    created = iso(to_ns(datetime.now(UTC)))
    card = Card(
        name=name,
        version=created,
        solution="signals",
        problem=Control(command="phase", of=("count", "queue", "wait", "arrivals", "full"), by=by),
        model=f"phase net, {by}",
        created=created,
        channels=tuple(Channel(signal=one) for one in FEATURES),
        every_ns=10 * SECOND_NS,
        window=1,
        parameters=sum(one.numel() for one in net.parameters()),
        train_cpu_s=train_cpu_s,
        notes=notes,
    )
    return pack(whole, card, key, axes=("batch", "phase"), sizes=((5, 4), (1, 2), (7, 8), (16, 3)))


def pack(
    net: torch.nn.Module,
    card: Card,
    key: SigningKey,
    *,
    axes: tuple[str, ...],
    sizes: Iterable[tuple[int, ...]],
) -> bytes:
    """Return a net with its Card as a signed ONNX file: ``x [*axes, feature]`` to ``y``.

    It is traced with the first of the sizes, and raises ``ModelError`` where the graph does not answer as
    torch does at any of them.
    """
    draw = np.random.default_rng(0)
    probes = [draw.random((*size, len(card.channels)), np.float32) for size in sizes]
    free = dict(enumerate(axes))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        file = Path(folder) / "model.onnx"
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net.eval(), (torch.from_numpy(probes[0]),), file, dynamo=False, input_names=["x"],
            output_names=["y"], opset_version=_OPSET, dynamic_axes={"x": free, "y": free},
        )  # fmt: skip
        graph = file.read_bytes()
    _check(graph, net, probes)
    model = onnx.load_from_string(graph)
    onnx.helper.set_model_props(model, {CARD_KEY: msgspec.json.encode(card).decode()})
    return sign(model.SerializeToString(deterministic=True), key)


def _check(graph: bytes, net: torch.nn.Module, probes: Iterable[NDArray[np.float32]]) -> None:
    """Hold the graph against torch, also at other sizes than it was traced with."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    for x in probes:
        with torch.inference_mode():
            wanted = net(torch.from_numpy(x)).numpy()
        apart = float(np.abs(session.run(["y"], {"x": x})[0] - wanted).max())
        if apart > _AGREE:
            raise ModelError(f"the ONNX graph of a controller answers {apart:.1e} away from torch")
