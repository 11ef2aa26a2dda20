"""Runner: a signed model file in ONNX Runtime, which tells a wrong input before the graph sees it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from nervure.core.card import CARD_KEY, Card
from nervure.core.error import ModelError
from nervure.core.problem import Case, Classify
from nervure.core.window import Window
from nervure.trust.signature import verify

__all__ = ["Runner"]

_REPACK = "package the model again with: nervure export"


class Runner:
    """One model, ready to run.

    ``trusted`` are the public keys it may be signed with; nothing of the file is read before its
    signature holds. One thread is fastest for small graphs, and leaves the others to other work.
    """

    def __init__(self, model: bytes, trusted: Iterable[bytes], *, threads: int = 1) -> None:
        verify(model, trusted)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as cause:  # ONNX Runtime's errors share no class of their own
            raise ModelError(f"ONNX Runtime cannot load the model: {cause}", hint=_REPACK) from cause
        text = self._session.get_modelmeta().custom_metadata_map.get(CARD_KEY)
        if text is None:
            raise ModelError("the model carries no card", hint=_REPACK)
        try:
            self.card = msgspec.json.decode(text, type=Card)
        except msgspec.DecodeError as cause:
            raise ModelError(f"the model's card cannot be read: {cause}", hint=_REPACK) from cause
        card = self.card
        self._whole = isinstance(card.problem, Case)
        self._x = (card.window, len(card.channels))
        self._calendar = (card.window + card.horizon, 5)
        self._future = (card.horizon, len(card.future))
        self._check_graph()

    def run(self, window: Window) -> NDArray[np.float32]:
        """Foresee: ``[batch, horizon, quantile]`` in the unit of the signal."""
        batch = len(window.node)
        self._fits("x", window.x, (batch, *self._x))
        self._fits("calendar", window.calendar, (batch, *self._calendar))
        feeds = {"x": window.x, "node": window.node, "calendar": window.calendar}
        if self._future[1]:
            if window.ahead is None:
                names = ", ".join(channel.signal for channel in self.card.future)
                raise ModelError(f"{self.card.name}: the window lacks what is known ahead: {names}")
            self._fits("ahead", window.ahead, (batch, *self._future))
            feeds["future"] = window.ahead
        known = len(self.card.streams)
        if batch and int(window.node.view(np.uint64).max()) >= known:  # a negative one counts as huge
            raise ModelError(f"{self.card.name}: node {window.node.max()} is none of its {known} streams")
        if self.card.joint:
            self._check_rounds(window.node)
        try:
            y: NDArray[np.float32] = self._session.run(["y"], feeds)[0]
        except Exception as cause:
            raise ModelError(f"{self.card.name}: the graph refused its input: {cause}") from cause
        return y

    def answer(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Answer about whole windows ``[batch, time, channel]``: ``[batch, answer]``, as the card says."""
        self._fits("x", x, (len(x), *self._x))
        problem = self.card.problem
        wide = len(problem.classes) if isinstance(problem, Classify) else len(self.card.quantiles)
        try:
            y: NDArray[np.float32] = self._session.run(["y"], {"x": x})[0]
        except Exception as cause:
            raise ModelError(f"{self.card.name}: the graph refused its input: {cause}") from cause
        if y.shape != (len(x), wide):
            raise ModelError(f"{self.card.name} yields {y.shape}, not {[len(x), wide]}", hint=_REPACK)
        return y

    def _fits(self, name: str, array: NDArray[np.generic], shape: tuple[int, ...]) -> None:
        if array.shape != shape:
            raise ModelError(
                f"{self.card.name}: {name} has the shape {list(array.shape)}, not {list(shape)}",
                hint=f"cut windows of {self.card.window} slots, axes [batch, time, channel]",
            )

    def _check_rounds(self, node: NDArray[np.int64]) -> None:
        """See that a joint graph gets whole rounds of all nodes, in their order."""
        count = len(self.card.streams)
        if len(node) % count or (node.reshape(-1, count) != np.arange(count)).any():
            raise ModelError(
                f"{self.card.name} foresees all its {count} streams at once, and was given others",
                hint="give it windows of all of them, in the order of its card, all of one time",
            )

    def _check_graph(self) -> None:
        """See that the graph has the inputs and the output that the card promises."""
        wanted = {"x"} if self._whole else {"x", "node", "calendar"}
        wanted |= {"future"} if self.card.future else set()
        found = {one.name for one in self._session.get_inputs()}
        given = [one.name for one in self._session.get_outputs()]
        if found != wanted or given != ["y"]:
            raise ModelError(
                f"{self.card.name}: the graph eats {sorted(found)} and gives {given}, not what its card says",
                hint=_REPACK,
            )
