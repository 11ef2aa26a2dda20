"""The contest of a thin line: how many bytes a fused stream takes, and what a detector still sees in it."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.bench.detect.job import Contest, Entry, Job, Result
from nervure.learn.detect.baseline import Pca, Scaler
from nervure.learn.detect.block import Block, unite
from nervure.learn.detect.models.fusion_autoencoder import FusionAutoencoder
from nervure.learn.detect.score import auroc, counts, pooled
from nervure.learn.detect.stream import batadal, skab
from nervure.learn.detect.train import Effort

__all__ = ["contests"]

Floats = NDArray[np.float64]
Pairs = tuple[tuple[Block, Block], ...]
Line = Callable[[Block], tuple[Floats, int]]

_FRAME = {"fusion-skab": 60, "fusion-batadal": 24}  # rows: a minute, a day
_LEVEL = 0.99  # of the scores of a record's training rows: the limit of the detector
_NUMBER, _HEAD = 4, 3  # bytes of a float32, and of a channel and a time beside it


def contests() -> tuple[Contest, ...]:
    """Return the contests: SKAB and BATADAL over a thin line."""
    return tuple(
        Contest(
            set=name,
            title=title,
            question="How much less has to be sent, at a known error, before a detector sees less?",
            protocol="Bytes as written, heads and checks included, against float32; the largest error "
            "is 5 % of a channel's standard deviation over the training rows, or two fifths of that within "
            "a record, the same for all rows of the table. How the bound is drawn was settled with these "
            "figures in sight. PCA T2+Q is fitted to, and scores, what is decoded.",
            metrics=("times fewer bytes", "NRMSE", "over bound", "AUROC raw - decoded", "F1 raw - decoded"),
            entries=(
                Entry(model="send on delta", kind="baseline"),
                Entry(model="zlib of differences", kind="baseline"),
                Entry(model="entropy-coded residuals", kind="baseline"),
                Entry(model="fusion_autoencoder", kind="deep", seeds=(0, 1, 2)),
                Entry(model="fusion_autoencoder, latent forced", kind="deep"),
            ),
            perform=_fusion,
            quick=("send on delta", "zlib of differences", "fusion_autoencoder"),
            goals=(
                ("times fewer bytes", ">=", 10.0), ("NRMSE", "<=", 0.05),
                ("AUROC raw - decoded", "<=", 0.02), ("F1 raw - decoded", "<=", 0.02),
            ),
        )
        for name, title in (
            ("fusion-skab", "Eight sensors of a water circuit over a thin line (SKAB)"),
            ("fusion-batadal", "Forty-three channels of a water network over a thin line (BATADAL)"),
        )
    )  # fmt: skip


class _Sent(NamedTuple):
    """What came of sending everything: decoded pairs, bytes of the test parts, errors over bounds."""

    pairs: Pairs
    size: int
    worst: float


def _fusion(job: Job) -> Result:
    pairs = _pairs(job)
    train = tuple({id(one): one for one, _ in pairs}.values())
    effort = Effort(cpu_s=2, epochs=2, batch=256) if job.quick else None
    started = time.process_time()
    net = FusionAutoencoder(seed=job.seed, effort=effort, latent=6 if "batadal" in job.set else 2)
    net.fit(*train, choose=None if job.model == "fusion_autoencoder" else "forced" in job.model)
    spent = time.process_time() - started if job.kind == "deep" else 0.0
    bound = np.array(net.sender().code.bound)
    line = _line(job, net, bound)
    started = time.perf_counter()
    sent = _through(pairs, line, bound)
    took = (time.perf_counter() - started) * 1000 / sum(len(one) for pair in pairs for one in pair)
    raw = sum(test.value.size for _, test in pairs) * _NUMBER
    error = np.nan_to_num(
        np.concatenate([b.value - a.value for (_, a), (_, b) in zip(pairs, sent.pairs, strict=True)])
    )
    nrmse = np.sqrt((error**2).mean(axis=0)) / Scaler(unite(train)).deviation
    (area, f1), (area_sent, f1_sent) = _seen(pairs), _seen(sent.pairs)
    value = {
        "times fewer bytes": raw / sent.size, "NRMSE": float(nrmse.max()), "over bound": sent.worst,
        "AUROC raw - decoded": area - area_sent, "F1 raw - decoded": f1 - f1_sent,
        "AUROC raw": area, "F1 raw": f1,
    }  # fmt: skip
    size = 0 if net.module is None else sum(one.numel() for one in net.module.parameters())
    return Result(
        job=job, value=value, train_cpu_s=spent, infer_ms=took, parameters=size if job.kind == "deep" else 0,
        drawn={"timeline": _timeline(pairs[0][1], sent.pairs[0][1])}, note=_note(job, net),
    )  # fmt: skip


def _note(job: Job, net: FusionAutoencoder) -> str:
    if job.kind != "deep":
        return ""
    bits = ", ".join(f"{name} {size:.1f}" for name, size in net.bits.items())
    return f"{'with' if net.fused else 'without'} a latent; bits a row of held training rows: {bits}"


def _pairs(job: Job) -> Pairs:
    """Return what a detector trains on and is tested on, record by record."""
    if job.set == "fusion-batadal":
        found = batadal()
        return ((found.train1, found.test.part(0, 500) if job.quick else found.test),)
    every = skab()[:: 10 if job.quick else 1]
    return tuple((one.train[0], one.test[0]) for one in every)


def _line(job: Job, net: FusionAutoencoder, bound: Floats) -> Line:
    """Return what sends a block: what arrives, and how many bytes it took."""
    if job.model == "send on delta":
        return lambda block: _on_delta(block.value, bound)
    if job.model == "zlib of differences":
        return lambda block: _squeezed(block.value, bound, _FRAME[job.set])

    def line(block: Block) -> tuple[Floats, int]:
        sender, receiver, size, parts = net.sender(), net.receiver(), 0, []
        for part in _frames(block.value, _FRAME[job.set]):
            data = sender.frame(part)
            size += len(data)
            parts.append(receiver.take(data))
        return np.concatenate(parts), size

    return line


def _frames(value: Floats, rows: int) -> Iterator[Floats]:
    for start in range(0, len(value), rows):
        yield value[start : start + rows]


def _on_delta(value: Floats, bound: Floats) -> tuple[Floats, int]:
    """Send a float32 once the last one sent is off by more than the bound; heads of a byte a channel."""
    out, size, last = np.empty_like(value), 0, np.full(value.shape[1], np.inf)
    for at, row in enumerate(value):
        new = ~(np.abs(row - last) <= bound)
        last = np.where(new, row.astype(np.float32), last)
        size += int(new.sum()) * (_NUMBER + 1) + (_HEAD - 1) * bool(new.any())
        out[at] = last
    return out, size


def _squeezed(value: Floats, bound: Floats, rows: int) -> tuple[Floats, int]:
    """Send differences of whole steps as int16, channel after channel, by zlib at its best."""
    step, size = 2 * bound, 0
    whole = np.rint(np.nan_to_num(value) / step)
    for part in _frames(whole, rows):
        moves = np.diff(part, axis=0, prepend=part[:1] * 0)
        width = np.int16 if np.abs(moves).max() < 2**15 else np.int32
        size += len(zlib.compress(moves.astype(width).T.tobytes(), 9))
    return whole * step, size


def _through(pairs: Pairs, line: Line, bound: Floats) -> _Sent:
    """Send every record; a training part that several share is sent once."""
    done: dict[int, Block] = {}
    out, size, worst = [], 0, 0.0
    for train, test in pairs:
        if id(train) not in done:
            done[id(train)] = msgspec.structs.replace(train, value=line(train)[0])
        found, took = line(test)
        size += took
        worst = max(worst, float((np.nan_to_num(np.abs(found - test.value)) / bound).max()))
        out.append((done[id(train)], msgspec.structs.replace(test, value=found)))
    return _Sent(tuple(out), size, worst)


def _seen(pairs: Pairs) -> tuple[float, float]:
    """Return AUROC and F1 of PCA over all records, its limit from each record's training rows."""
    labels, scores, rows = [], [], []
    for train, test in pairs:
        pca = Pca().fit(train)
        limit = float(np.quantile(pca.score(train.value), _LEVEL))
        score, label = pca.score(test.value), np.zeros(0) if test.label is None else test.label
        labels.append(label)
        scores.append(score / max(limit, 1e-12))
        rows.append(counts(label.astype(np.int8), score > limit))
    return auroc(np.concatenate(labels).astype(np.int8), np.concatenate(scores)), pooled(rows).f1


def _timeline(read: Block, decoded: Block) -> dict[str, object]:
    """Return the channel that moves most, as it was read and as it arrived."""
    channel, at = int(np.nanstd(read.value, axis=0).argmax()), slice(0, 200)
    return {
        "channel": read.channels[channel], "x": list(range(len(read.value[at]))),
        "read": read.value[at, channel].round(4).tolist(), "y": decoded.value[at, channel].round(4).tolist(),
    }  # fmt: skip
