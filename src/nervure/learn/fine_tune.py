"""A trained net goes on learning for a few steps, from the few days that a new site has been read.

All its weights move, by small steps; the newest of the days judge, so that what was stays where
going on helps nothing. Bands and blend stay as they are.
"""

from __future__ import annotations

import copy

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nervure.learn.frame import Frame
from nervure.learn.task import ForecastTask, Samples, truth, windows
from nervure.learn.train import Trained, predict

__all__ = ["fine_tune"]

Longs = NDArray[np.int64]

_BATCH = 128  # windows a step


def fine_tune(
    trained: Trained, rows: Longs, *, steps: int = 200, rate: float = 3e-4, looks: int = 8, seed: int = 0
) -> Trained:
    """Train on for a few steps on some rows of its task's table, and look at no other as a target.

    The newest third of the rows judges; where training on helps nothing, what was stays.
    """
    task = trained.task
    cut = int(rows[2 * len(rows) // 3])
    taught, judged = _targets(task, int(rows[0]), cut), _targets(task, cut, int(rows[-1]) + 1)
    if not len(taught) or not len(judged):
        return trained
    frame, best = copy.deepcopy(trained.module), copy.deepcopy(trained.module)
    random = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(frame.parameters(), lr=rate)
    least, done = _error(task, best, judged, int(rows[-1]) + 1), 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for step in range(1, steps + 1):
            batch = taught.take(random.integers(0, len(taught), min(_BATCH, len(taught))))
            optimizer.zero_grad()
            torch.autograd.backward(_pinball(task, frame, batch, cut))
            torch.nn.utils.clip_grad_norm_(frame.parameters(), 1.0)
            optimizer.step()
            if step % max(1, steps // looks) == 0:
                error = _error(task, frame, judged, int(rows[-1]) + 1)
                if error < least:
                    least, done = error, step
                    best.load_state_dict(frame.state_dict())
    best.eval()
    return msgspec.structs.replace(trained, module=best, steps=trained.steps + done)


def _targets(task: ForecastTask, first: int, end: int) -> Samples:
    """Return the samples whose first target lies in the rows from ``first`` up to ``end``."""
    last = np.arange(max(first, task.window) - 1, end - 1, dtype=np.int64)
    known = np.isfinite(task.table.value[:end, task.targets])
    total = np.concatenate([np.zeros((1, task.nodes), np.int64), np.cumsum(known, axis=0)])
    some = total[np.minimum(last + task.horizon + 1, end)] > total[last + 1]
    row, node = np.nonzero(some)
    return Samples(last=last[row], node=node.astype(np.int64))


def _real(task: ForecastTask, chosen: Samples, end: int) -> NDArray[np.float32]:
    """Return what happened before row ``end``, NaN after it."""
    row = chosen.last[:, None] + np.arange(1, task.horizon + 1)
    return np.where(row < end, truth(task, chosen), np.float32(np.nan))


def _error(task: ForecastTask, frame: Frame, chosen: Samples, end: int) -> float:
    y = predict(frame, windows(task, chosen))[:, :, task.median]
    return float(np.nanmean(np.abs(_real(task, chosen, end) - y)))


def _pinball(task: ForecastTask, frame: Frame, batch: Samples, end: int) -> Tensor:
    """Return the pinball loss in scales, targets from row ``end`` on left out."""
    window = windows(task, batch)
    arrays = [window.x, window.node, window.calendar, *([] if window.ahead is None else [window.ahead])]
    frame.train()
    y = frame(*(torch.tensor(one) for one in arrays))
    real = torch.tensor(_real(task, batch, end))
    known = ~torch.isnan(real)
    error = (torch.nan_to_num(real)[:, :, None] - y) / frame.scale[torch.tensor(batch.node)][:, None, None]
    levels = torch.tensor(task.quantiles, dtype=torch.float32)
    pinball = torch.maximum(levels * error, (levels - 1) * error).mean(dim=2)
    return (pinball * known).sum() / known.sum().clamp(min=1)
