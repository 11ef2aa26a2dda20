"""An autoencoder that sends less: many sensors into a few whole numbers, and residuals where it errs.

The net is trained for bytes, not for a small error: every channel's bound holds anyway, as residuals
see to it (:mod:`nervure.core.fusion`), and what is left to learn is which latent makes latent and
residuals together cheapest.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nervure.core.error import DataError, ModelError
from nervure.core.fusion import CONTEXTS, ESCAPE, SYMBOLS, TOTAL, Code, Receiver, Row, Sender, symbols
from nervure.learn.detect.baseline import Scaler
from nervure.learn.detect.block import Block, unite
from nervure.learn.detect.train import Effort, Run, train
from nervure.learn.detect.windowed import Windowed

__all__ = ["FusionAutoencoder"]

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
_OPSET = 17
_WORTH = 0.98  # what a latent has to save: less is chance
_WITHIN = 0.4  # of what a channel moves within a record
_ROWS = 4000  # of each part that tables are learnt from


class FusionAutoencoder(Windowed):
    """Fuses the channels of a gateway into ``latent`` whole numbers a row, sent on change.

    ``bound`` is the largest error of a reading as a share of its channel's standard deviation over
    all rows, so that no channel's RMSE is above it either; where a channel moves less within a
    record, two fifths of that are the bound, as a detector of that record needs it (even errors then
    add 5 % to its variance). As a detector it scores a row by its residuals. Rate is the loss, after
    Balle, Laparra & Simoncelli (ICLR, 2017), with noise in place of rounding.

    Where channels have little to do with each other a latent does not pay; the last fifth of each
    block decides, and without one every residual is counted from the channel's mean (``fused`` says
    which it was, ``bits`` what a row took either way). Not for a single channel.
    """

    name = "fusion_autoencoder"
    window = 1

    def __init__(
        self, *, latent: int = 3, bound: float = 0.05, seed: int = 0, effort: Effort | None = None
    ) -> None:
        self.latent, self.bound, self.seed = latent, bound, seed
        self.effort = effort or Effort(cpu_s=15, epochs=25, batch=256, rate=3e-3)
        self.run: Run | None = None
        self.code: Code | None = None
        self.fused = False
        self.bits: dict[str, float] = {}

    def fit(self, *blocks: Block, choose: bool | None = None) -> Self:
        """Learn net and tables from normal rows; the last fifth of each block stops and decides.

        ``choose`` says whether there is a latent, whatever pays.
        """
        self._begin(blocks)
        if min(map(len, blocks)) < 10:
            raise DataError("a fused line is learnt from blocks of at least 10 rows")
        cuts = [len(one) * 4 // 5 for one in blocks]
        shown = [one.value[:cut] for one, cut in zip(blocks, cuts, strict=True)]
        held = [one.value[cut:] for one, cut in zip(blocks, cuts, strict=True)]
        bound = _bounds(blocks, self.bound)
        torch.manual_seed(self.seed)
        scaler = Scaler(unite(blocks))
        tried: list[tuple[float, _Net, Code]] = []
        for name, fused in (("plain", False), ("fused", True)):
            if choose is not None and choose is not fused:
                continue
            net = _Net(scaler, bound, self.latent, fused=fused)
            if fused:
                self._train(net, shown, held)
            self.module = net.eval()
            code = self._learn_code(shown, bound)
            said = self._said(code, [one[:_ROWS] for one in held])
            self.bits[name] = float(_channel_bits(code, said).sum()) / sum(map(len, said))
            tried.append((self.bits[name], net, code))
        worth = len(tried) == 1 or tried[1][0] < _WORTH * tried[0][0]
        _, self.module, self.code = tried[-1 if worth else 0]
        self.fused = bool(self._net.encoder.gain > 0)
        return self

    def _train(self, net: _Net, shown: list[Floats], held: list[Floats]) -> None:
        pairs, others = (
            torch.cat([torch.from_numpy(one.astype(np.float32)).unfold(0, 2, 1) for one in part])
            for part in (shown, held)
        )

        def loss(index: NDArray[np.int64]) -> Tensor:
            return net.rate(pairs[torch.from_numpy(index)], noise=True)

        def judge() -> float:
            return float(net.rate(others, noise=False))

        self.run = train(net, len(pairs), loss, judge, effort=self.effort, seed=self.seed)

    def _learn_code(self, shown: list[Floats], bound: Floats) -> Code:
        """Count how often each symbol comes; what is cheapest to send depends on it, so count twice."""
        width = len(bound)
        values = [one[:_ROWS] for one in shown]
        codes = []
        for fine, keep in ((1, 0.0), (1, 0.5), (1, 1.0), (2, 1.0)):
            plain = _uniform(bound, (fine,) * width, (keep,) * width, self.latent)
            codes.append(_counted(plain, self._said(plain, values)))
        bits = np.stack([_channel_bits(one, self._said(one, values)) for one in codes])
        best = bits[:, :-1].argmin(axis=0)
        code = _uniform(
            bound,
            tuple(codes[at].fine[0] for at in best),
            tuple(codes[at].keep[0] for at in best),
            self.latent,
        )
        for _ in range(2):
            code = _counted(code, self._said(code, values))
        return code

    def _said(self, code: Code, values: list[Floats]) -> list[list[Row]]:
        sender = Sender(code, self.encode, self.decode)
        return [sender.rows(one) for one in values]

    def encode(self, value: Singles) -> Singles:
        """Return the latent of rows ``[row, channel]``, ``[row, latent]``, before it is rounded."""
        with torch.inference_mode():
            found: Singles = self._net.encoder(torch.from_numpy(np.ascontiguousarray(value))).numpy()
        return found

    def decode(self, latent: Singles) -> Singles:
        """Return what whole latents ``[row, latent]`` stand for, ``[row, channel]``."""
        with torch.inference_mode():
            found: Singles = self._net.decoder(torch.from_numpy(np.ascontiguousarray(latent))).numpy()
        return found

    def sender(self, *, full_every: int = 10) -> Sender:
        """Return the gateway's end of a line."""
        return Sender(self._coded, self.encode, self.decode, full_every=full_every)

    def receiver(self) -> Receiver:
        """Return the server's end of a line."""
        return Receiver(self._coded, self.decode)

    def encoder_onnx(self) -> bytes:
        """Return the gateway's graph, ``x [row, channel]`` to ``latent [row, latent]``."""
        return _exported(self._net.encoder, len(self.channels), "x", "latent")

    def decoder_onnx(self) -> bytes:
        """Return the server's graph, whole ``latent [row, latent]`` to ``x [row, channel]``."""
        return _exported(self._net.decoder, self.latent, "latent", "x")

    @property
    def _net(self) -> _Net:
        if not isinstance(self.module, _Net):
            raise ModelError(f"{self.name} has not been fitted")
        return self.module

    @property
    def _coded(self) -> Code:
        if self.code is None:
            raise ModelError(f"{self.name} has not been fitted")
        return self.code


class _Half(nn.Module):
    """Readings and latents on their scales, and two ways between them: bent and straight."""

    mean: Tensor
    deviation: Tensor
    gain: Tensor

    def __init__(self, scaler: Scaler, size: tuple[int, int], gain: float) -> None:
        super().__init__()
        self.register_buffer("gain", torch.tensor(gain))
        self.register_buffer("mean", torch.tensor(scaler.mean, dtype=torch.float32))
        self.register_buffer("deviation", torch.tensor(scaler.deviation, dtype=torch.float32))
        self.layers = nn.Sequential(nn.Linear(size[0], 48), nn.SiLU(), nn.Linear(48, size[1]))
        self.straight = nn.Linear(*size)


class _Encoder(_Half):
    def __init__(self, scaler: Scaler, latent: int, gain: float) -> None:
        super().__init__(scaler, (len(scaler.mean), latent), gain)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.where(torch.isnan(x), torch.zeros_like(x), (x - self.mean) / self.deviation).clamp(-20, 20)
        found: Tensor = 4 * self.gain * (self.layers(z) + self.straight(z))
        return found


class _Decoder(_Half):
    def __init__(self, scaler: Scaler, latent: int, gain: float) -> None:
        super().__init__(scaler, (latent, len(scaler.mean)), gain)

    def forward(self, latent: Tensor) -> Tensor:
        found: Tensor = self.layers(latent / 4) + self.straight(latent / 4)
        return self.mean + self.gain * found * self.deviation


class _Net(nn.Module):
    bound: Tensor

    def __init__(self, scaler: Scaler, bound: Floats, latent: int, *, fused: bool) -> None:
        super().__init__()
        self.encoder, self.decoder = (one(scaler, latent, float(fused)) for one in (_Encoder, _Decoder))
        self.register_buffer("bound", torch.tensor(bound, dtype=torch.float32))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        newest = x[:, -1]
        expected = self.decoder(torch.round(self.encoder(newest)))
        off = torch.where(torch.isnan(newest), torch.zeros_like(newest), newest - expected)
        part = torch.log2(1 + (off / (2 * self.bound)).abs())
        return part.sum(dim=1), part, expected

    def rate(self, pair: Tensor, *, noise: bool) -> Tensor:
        """Return about how many bits the second row of pairs ``[pair, channel, 2]`` takes after the first."""
        latents, steps = [], []
        for row in (pair[..., 0], pair[..., 1]):
            exact = self.encoder(row)
            off = torch.rand_like(exact) - 0.5 if noise else (torch.round(exact) - exact).detach()
            away = (row - self.decoder(exact + off)) / (2 * self.bound)
            latents.append(exact + off)
            steps.append(torch.where(torch.isnan(row), torch.zeros_like(away), away).clamp(-1e6, 1e6))
        cheaper = torch.minimum(steps[1].abs(), (steps[1] - steps[0]).abs())
        moved = (latents[1] - latents[0]).abs()
        return (torch.log2(1 + cheaper).sum(dim=1) + torch.log2(1 + moved).sum(dim=1)).mean()


def _bounds(blocks: tuple[Block, ...], share: float) -> Floats:
    """Return each channel's largest error, in its unit."""
    within: Floats = np.median([Scaler(one.value).deviation for one in blocks], axis=0)
    found: Floats = np.minimum(share * Scaler(unite(blocks)).deviation, _WITHIN * within)
    return found


def _uniform(bound: Floats, fine: tuple[int, ...], keep: tuple[float, ...], latents: int) -> Code:
    """Return a code that knows only that small changes are more common."""
    size = np.abs(np.arange(SYMBOLS) - SYMBOLS // 2 + 1.0)
    table = (_table(1000 * 0.6 ** np.minimum(size, 14)),) * CONTEXTS
    return Code(
        bound=tuple(bound.tolist()), fine=fine, keep=keep, changes=((TOTAL // 2,) * 2,) * 2,
        latents=(table,) * latents, residuals=(table,) * len(bound),
    )  # fmt: skip


def _table(count: Floats) -> tuple[int, ...]:
    """Scale counts to add up to ``TOTAL``, none below 1."""
    share = count + 1e-3 * count.sum() / len(count) + 1e-9
    whole = np.maximum(np.floor(share / share.sum() * TOTAL), 1).astype(np.int64)
    whole[whole.argmax()] += TOTAL - whole.sum()
    return tuple(whole.tolist())


def _counted(code: Code, said: list[list[Row]]) -> Code:
    """Return the code with tables as often as things were said."""
    tables = {
        "changes": np.full((1, 2, 2), 0.5),
        "latents": np.full((len(code.latents), CONTEXTS, SYMBOLS), 0.02),
        "residuals": np.full((len(code.residuals), CONTEXTS, SYMBOLS), 0.02),
    }
    for rows in said:
        for table, stream, before, symbol in symbols(code, rows):
            tables[table][stream, before, symbol] += 1
    done = {name: tuple(tuple(_table(row) for row in one) for one in table) for name, table in tables.items()}
    return msgspec.structs.replace(
        code, changes=done["changes"][0], latents=done["latents"], residuals=done["residuals"]
    )


def _channel_bits(code: Code, said: list[list[Row]]) -> Floats:
    """Return the bits that the residuals of each channel come to, and, last, all of the latent."""
    bits = np.zeros(len(code.residuals) + 1)
    for rows in said:
        for table, stream, before, symbol in symbols(code, rows):
            counts = code.changes if table == "changes" else getattr(code, table)[stream]
            far = 20.0 if symbol == ESCAPE and table != "changes" else 0.0
            bits[stream if table == "residuals" else -1] += far - np.log2(counts[before][symbol] / TOTAL)
    return bits


def _exported(module: nn.Module, width: int, name: str, answer: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shapes that are fixed are traced as constants
        file = Path(folder) / "model.onnx"
        torch.onnx.export(
            module.eval(), (torch.zeros(2, width),), file, dynamo=False, input_names=[name],
            output_names=[answer], dynamic_axes={name: {0: "row"}, answer: {0: "row"}}, opset_version=_OPSET,
        )  # fmt: skip
        return file.read_bytes()
