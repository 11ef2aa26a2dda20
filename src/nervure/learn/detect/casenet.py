"""Nets that give one answer to a whole case: a recording, a beat, a window of a wearable's readings.

A model's file derives from :class:`CaseNet` and says what its module is; fitting, class weights,
probabilities, integrated gradients and ONNX are here, once.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from nervure.core.error import DataError, ModelError
from nervure.learn.detect.train import Effort, Run, train

__all__ = ["CaseNet", "Cases", "Way"]

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Augment = Callable[[Tensor, torch.Generator], Tensor]
_CHUNK = 512
_STEPS = 32  # of the path of integrated gradients
_EXPLAINED = 64  # cases explained at once
_OPSET = 17


class Cases(NamedTuple):
    """What is classified: ``x [case, time, channel]`` and, where there is such, ``extra [case, feature]``."""

    x: Singles
    extra: Singles | None = None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: Any) -> Cases:
        """Return some of the cases."""
        return Cases(self.x[rows], None if self.extra is None else self.extra[rows])


class Way(NamedTuple):
    """The way integrated gradients go: from ``start`` to ``end``, both ``[case, ...]``, to the logits."""

    start: Tensor
    end: Tensor
    extra: Tensor
    answer: Callable[[Tensor, Tensor], Tensor]


class CaseNet:
    """A net over cases; ``module(x, extra)`` answers ``logit [case, class]`` (``extra`` may be of width 0).

    Derive, set ``name`` and ``effort``, and say in ``build`` what the module is; scalers belong into it.
    """

    name: str = ""
    kind: Literal["baseline", "deep", "peer"] = "deep"
    effort: Effort = Effort()
    run: Run | None = None

    def __init__(self, *, seed: int = 0, effort: Effort | None = None) -> None:
        self.seed = seed
        self.effort = effort or self.effort
        self.classes: tuple[str, ...] = ()
        self.module: nn.Module | None = None

    def build(self, cases: Cases, classes: int) -> nn.Module:
        """Return the untrained module, its scalers fitted to these cases."""
        raise NotImplementedError

    def augment(self, x: Tensor, random: torch.Generator) -> Tensor:
        """Return a batch changed in ways that leave its classes as they are; a model says how."""
        return x

    def fit(
        self,
        cases: Cases,
        truth: Sequence[Any] | NDArray[Any],
        *,
        held: tuple[Cases, Sequence[Any] | NDArray[Any]] | None = None,
        balance: float = 1.0,
    ) -> Self:
        """Learn from cases; ``held``, of other groups, tells when to stop (else all steps are done).

        ``balance`` 1 draws all classes alike however rare they are, 0 as often as they come.
        """
        names, code = np.unique(np.asarray(truth).astype(str), return_inverse=True)
        if len(names) < 2:
            raise DataError("the cases to fit to are of one class", hint="give cases of several classes")
        self.classes = tuple(names.tolist())
        torch.manual_seed(self.seed)
        module = self.build(cases, len(names))
        x, extra = _tensors(cases)
        wanted = torch.from_numpy(code.astype(np.int64))
        random = torch.Generator().manual_seed(self.seed)

        def loss(index: NDArray[np.int64]) -> Tensor:
            rows = torch.from_numpy(index)
            answer = module(self.augment(x[rows], random), extra[rows])
            return functional.cross_entropy(answer, wanted[rows], label_smoothing=0.05)

        share: Floats = np.bincount(code)[code].astype(np.float64) ** -balance
        self.module = module
        judge = self._judge(module, held, loss, len(cases))
        self.run = train(module, len(cases), loss, judge, effort=self.effort, weight=share, seed=self.seed)
        return self

    def _judge(
        self,
        module: nn.Module,
        held: tuple[Cases, Sequence[Any] | NDArray[Any]] | None,
        loss: Callable[[NDArray[np.int64]], Tensor],
        count: int,
    ) -> Callable[[], float]:
        """Return the cross entropy of the held cases, all classes alike; without them newer is better."""
        if held is None:
            done = [0.0]

            def newer() -> float:
                done[0] -= 1.0
                return done[0]

            return newer
        others, real = held
        place = {name: at for at, name in enumerate(self.classes)}
        code = np.array([place.get(str(one), -1) for one in real])
        known = code >= 0
        weight = torch.tensor(1.0 / np.maximum(np.bincount(code[known], minlength=len(place)), 1))
        target = torch.from_numpy(code[known])

        def entropy() -> float:
            logit = torch.from_numpy(self._logits(others.take(known)))
            return float(functional.cross_entropy(logit, target, weight=weight.float()))

        return entropy

    def score(self, cases: Cases, classes: Sequence[str] | None = None) -> Floats:
        """Return probabilities ``[case, class]`` in the order of ``classes``; an unknown class has none."""
        logit = self._logits(cases).astype(np.float64)
        share = np.exp(logit - logit.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        wanted = tuple(classes) if classes is not None else self.classes
        out = np.zeros((len(share), len(wanted)))
        for place, one in enumerate(wanted):
            if one in self.classes:
                out[:, place] = share[:, self.classes.index(one)]
        return out

    def contributions(self, cases: Cases, label: str) -> Floats:
        """Return by integrated gradients what each input did for a class, ``[case, time, channel]``.

        Beside a case in which everything is at the mean of its channel (Sundararajan, Taly & Yan,
        ICML 2017); what all did adds up to :meth:`difference`. A model may answer for what it makes
        of its input instead, and says so.
        """
        from captum.attr import IntegratedGradients

        at, parts = self.classes.index(label), []
        for start in range(0, len(cases), _EXPLAINED):
            way = self.way(*_tensors(cases.take(slice(start, start + _EXPLAINED))))
            found = IntegratedGradients(way.answer).attribute(
                way.end, way.start, at, (way.extra,), _STEPS, internal_batch_size=_CHUNK
            )
            parts.append(found.detach().numpy().astype(np.float64))
        return np.concatenate(parts)

    def difference(self, cases: Cases, label: str) -> Floats:
        """Return the logit of a class less that of the case one compares with, ``[case]``."""
        way, at = self.way(*_tensors(cases)), self.classes.index(label)
        with torch.inference_mode():
            both = way.answer(way.end, way.extra) - way.answer(way.start, way.extra)
        return both[:, at].numpy().astype(np.float64)

    def way(self, x: Tensor, extra: Tensor) -> Way:
        """Return from where to where contributions are added up; a model may begin behind its front."""
        return Way(x.mean(dim=1, keepdim=True).expand_as(x).contiguous(), x, extra, self._fitted())

    def to_onnx(self, cases: Cases) -> bytes:
        """Return the graph ``x [case, time, channel], extra [case, feature]`` to ``share [case, class]``.

        ``extra`` is an input only where the model uses it.
        """
        module = _Shares(self._fitted()).eval()
        x, extra = _tensors(cases.take(slice(0, 2)))
        names = ["x", "extra"] if cases.extra is not None else ["x"]
        args = (x, extra) if cases.extra is not None else (x,)
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # shapes that are fixed are traced as constants
            file = Path(folder) / "model.onnx"
            torch.onnx.export(
                module, args, file, dynamo=False, input_names=names, output_names=["share"],
                dynamic_axes={name: {0: "batch"} for name in (*names, "share")}, opset_version=_OPSET,
            )  # fmt: skip
            return file.read_bytes()

    def _logits(self, cases: Cases) -> Singles:
        module = self._fitted()
        out = np.empty((len(cases), len(self.classes)), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(cases), _CHUNK):
                some = slice(start, start + _CHUNK)
                out[some] = module(*_tensors(cases.take(some))).numpy()
        return out

    def _fitted(self) -> nn.Module:
        if self.module is None:
            raise ModelError(f"{self.name} has not been fitted")
        return self.module.eval()


class _Shares(nn.Module):
    """Probabilities instead of logits, and no second input where there is none."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor, extra: Tensor | None = None) -> Tensor:
        if extra is None:
            extra = x.new_zeros(x.shape[0], 0)
        answer: Tensor = torch.softmax(self.inner(x, extra), dim=1)
        return answer


def _tensors(cases: Cases) -> tuple[Tensor, Tensor]:
    extra = cases.extra if cases.extra is not None else np.empty((len(cases.x), 0), dtype=np.float32)
    return torch.from_numpy(np.ascontiguousarray(cases.x)), torch.from_numpy(np.ascontiguousarray(extra))
