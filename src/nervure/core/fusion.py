"""Fused readings on a thin line: a latent sent on change, residuals where a channel's bound would break.

A gateway encodes each row of many sensors into a few whole numbers, the latent. While the latent it
sent last still serves, nothing is said of it; what a decoder makes of it is corrected by residuals, whole
steps of a channel, wherever it is further off than the channel's bound. So the bound holds for every
reading, however bad the net. Changes are written by asymmetric numeral systems (Duda, arXiv
1311.2540, 2013) with a state of any length, by tables of how often each comes, learnt with the net.

    sender, receiver = Sender(code, encode, decode), Receiver(code, decode)
    value = receiver.take(sender.frame(rows))

A frame is: 1 byte of version and kind, the number of the frame and of its rows as LEB128, 4 bytes of
CRC-32 that also covers the code both sides must have, the state. Times belong to the message around it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.entropy import draw, far, near, packed
from nervure.core.error import DataError, ModelError

__all__ = [
    "CONTEXTS", "ESCAPE", "MOST_ROWS", "REACH", "SYMBOLS", "TOTAL", "Code", "Frame", "Receiver", "Row",
    "Sender", "symbols", "unpacked",
]  # fmt: skip

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Net = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # rows to rows, one by one

REACH = 40  # changes of up to so many steps have a symbol each
ESCAPE, MISSING = 2 * REACH + 1, 2 * REACH + 2
SYMBOLS, CONTEXTS = 2 * REACH + 3, 3
TOTAL = 4096  # what the counts of a table add up to
MOST_ROWS = 4096  # a frame
_VERSION, _FULL, _GOES_ON = 1, 0, 1
_MOST = 2**40


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """What both ends of a line must have beside the net.

    ``bound [channel]`` is the largest error, in the channel's unit; a residual's step is twice that
    over ``fine [channel]``, and ``keep [channel]`` how much of the last residual is expected again.
    ``changes [2][2]``, ``latents [latent][3][symbol]`` and ``residuals [channel][3][symbol]`` say how
    often, of ``TOTAL``, each comes after none, a small, or a large change.
    """

    bound: tuple[float, ...]
    fine: tuple[int, ...]
    keep: tuple[float, ...]
    changes: tuple[tuple[int, ...], ...]
    latents: tuple[tuple[tuple[int, ...], ...], ...]
    residuals: tuple[tuple[tuple[int, ...], ...], ...]

    def __post_init__(self) -> None:
        width = len(self.bound)
        if not width == len(self.fine) == len(self.keep) == len(self.residuals):
            raise ModelError("the code of a fused line is of several widths", hint="fit it again")
        if min(self.bound, default=0.0) <= 0 or min(self.fine, default=0) < 1:
            raise ModelError("a channel's bound is not above 0")
        tables = [self.changes, *self.latents, *self.residuals]
        if any(sum(row) != TOTAL or min(row) < 1 for table in tables for row in table):
            raise ModelError(f"a table's counts are below 1, or do not add up to {TOTAL}")

    @property
    def step(self) -> Floats:
        """The step of each channel's residual, in its unit."""
        found: Floats = 2 * np.array(self.bound) / np.array(self.fine)
        return found

    def to_bytes(self) -> bytes:
        """Return the code for a file beside the decoder's."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Code:
        """Read a code; ``ModelError`` where it is none."""
        try:
            return msgspec.msgpack.decode(data, type=cls)
        except (msgspec.MsgspecError, ModelError) as cause:
            raise ModelError(f"the code of a fused line cannot be read: {cause}") from cause


class Row(NamedTuple):
    """What is said of one row: ``latent`` changes, or none, and of each channel its residual's change.

    The change of a reading that is missing is ``None``.
    """

    latent: tuple[int, ...] | None
    residual: tuple[int | None, ...]


class Frame(NamedTuple):
    """A frame as it was read: its number, whether it stands on its own, and its rows."""

    number: int
    full: bool
    rows: tuple[Row, ...]


class _Past:
    """What both ends remember of the rows before."""

    def __init__(self, code: Code) -> None:
        self.latent = np.zeros(len(code.latents), np.int64)
        self.residual = np.zeros(len(code.bound), np.int64)
        self.changed, self.steps = 0, [0] * len(code.latents)
        self.moves: list[int] = [0] * len(code.bound)
        self._keep = np.array(code.keep)

    @property
    def expected(self) -> Longs:
        """The residuals that a change is counted from."""
        return np.rint(self._keep * self.residual).astype(np.int64)

    def follow(self, row: Row) -> None:
        """Take a row in."""
        expected = self.expected
        self.changed = int(row.latent is not None)
        if row.latent is not None:
            self.latent = self.latent + np.array(row.latent, np.int64)
            self.steps = [_context(one) for one in row.latent]
        for at, move in enumerate(row.residual):
            if move is not None:
                self.residual[at] = expected[at] + move
            self.moves[at] = _context(move)


class Sender:
    """The gateway's end: ``encode [row, channel] -> [row, latent]`` and ``decode`` back, as the net has them.

    A latent is as the net answers it, in steps of 1; a missing reading is NaN, in and out. Every
    ``full_every``-th frame stands on its own, so that a line that lost one is whole again by then.
    """

    def __init__(self, code: Code, encode: Net, decode: Net, *, full_every: int = 10) -> None:
        self.code, self._encode, self._decode = code, encode, decode
        self._every, self._number = full_every, 0
        self._past, self._guess = _Past(code), np.zeros(len(code.bound))

    def frame(self, value: Floats) -> bytes:
        """Write the next rows ``[row, channel]`` as one frame."""
        if value.ndim != 2 or value.shape[1] != len(self.code.bound) or not 0 < len(value) <= MOST_ROWS:
            raise DataError(
                f"values of {value.shape} are no frame of {len(self.code.bound)} channels",
                hint=f"give 1 to {MOST_ROWS} rows",
            )
        if np.isinf(value).any():
            raise DataError("a reading without an end cannot be sent", hint="send NaN for what is missing")
        full = self._number % self._every == 0
        if full:
            self._renew()
        start, rows = _copied(self._past), self._rows(value)
        kind = _FULL if full else _GOES_ON
        head = bytes([_VERSION << 4 | kind]) + _leb(self._number) + _leb(len(rows))
        found = _sealed(self.code, head, _pack(self.code, rows, start))
        self._number += 1
        return found

    def rows(self, value: Floats) -> list[Row]:
        """Say what would be sent of rows, from the very start: what tables are learnt from."""
        self._renew()
        return self._rows(value)

    def _renew(self) -> None:
        self._past = _Past(self.code)
        self._guess = self._decode(self._past.latent[None].astype(np.float32))[0].astype(np.float64)

    def _rows(self, value: Floats) -> list[Row]:
        wanted = np.rint(self._encode(value.astype(np.float32))).astype(np.int64)
        guesses = self._decode(wanted.astype(np.float32)).astype(np.float64)
        rows = []
        for reading, latent, guess in zip(value, wanted, guesses, strict=True):
            row = self._row(reading, latent, guess)
            self._past.follow(row)
            rows.append(row)
        return rows

    def _row(self, reading: Floats, latent: Longs, guess: Floats) -> Row:
        """Hold the latent, or send the new one, whichever comes to fewer bits."""
        past, code = self._past, self.code
        held = Row(None, self._moves(reading, self._guess))
        step = tuple((latent - past.latent).tolist())
        if not any(step):
            return held
        sent = Row(step, self._moves(reading, guess))
        if _cost(code, past, held) <= _cost(code, past, sent):
            return held
        self._guess = guess
        return sent

    def _moves(self, reading: Floats, guess: Floats) -> tuple[int | None, ...]:
        """Return the change of each residual: none where what is expected keeps within the bound."""
        step, expected = self.code.step, self._past.expected
        off = (reading - guess) / step
        missing = np.isnan(off)
        off = np.where(missing, expected, off)
        if np.abs(off).max() > _MOST:
            raise DataError("a reading is too far from all that was learnt to be sent")
        serves = np.abs(off - expected) <= np.array(self.code.fine) / 2
        moves = np.where(serves, 0, np.rint(off) - expected).astype(np.int64).tolist()
        return tuple(None if gone else move for gone, move in zip(missing.tolist(), moves, strict=True))


class Receiver:
    """The server's end: knows lost frames by their numbers, and waits then for one that stands alone."""

    def __init__(self, code: Code, decode: Net) -> None:
        self.code, self._decode = code, decode
        self._past, self._next = _Past(code), -1
        self.lost = 0

    def take(self, data: bytes) -> Floats:
        """Return the rows of a frame, ``[row, channel]``, each within its bound of what was read.

        Raises ``DataError`` for bytes that are no whole frame of this code, for one that was had
        already, and for one that goes on from a frame that was lost; rows that were had stay had.
        """
        number, full, _, _ = _opened(self.code, data)
        if self._next >= 0 and number < self._next and not (full and number == 0):
            raise DataError(f"frame {number} came after frame {self._next - 1}", hint="leave it out")
        if not full and number != self._next:
            raise DataError(
                f"frame {number} goes on from frame {number - 1}, which was lost",
                hint="wait for the next full frame",
            )
        past = _Past(self.code) if full else _copied(self._past)
        frame = unpacked(self.code, data, past)
        latents, residuals, missing = [], [], []
        for row in frame.rows:
            past.follow(row)
            latents.append(past.latent)
            residuals.append(past.residual.copy())
            missing.append([move is None for move in row.residual])
        if 0 <= self._next < number:
            self.lost += number - self._next
        self._past, self._next = past, number + 1
        guess = self._decode(np.stack(latents).astype(np.float32)).astype(np.float64)
        found: Floats = np.where(np.array(missing), np.nan, guess + np.stack(residuals) * self.code.step)
        return found


def unpacked(code: Code, data: bytes, past: _Past | None = None) -> Frame:
    """Read a frame; ``past`` is what was before it where it does not stand on its own."""
    number, full, count, body = _opened(code, data)
    state = int.from_bytes(body, "little")
    own, rows = _copied(past) if past is not None else _Past(code), []
    for _ in range(count):
        row, state = _read(code, own, state)
        own.follow(row)
        rows.append(row)
    if state != 1:
        raise DataError("a frame does not end where it should", hint="both ends need the same code")
    return Frame(number, full, tuple(rows))


def _context(move: int | None) -> Literal[0, 1, 2]:
    """Say how large the change before was: none, small, large."""
    size = 3 if move is None else abs(move)
    return 0 if size == 0 else 1 if size < 3 else 2


def symbols(code: Code, rows: Iterable[Row]) -> Iterator[tuple[str, int, int, int]]:
    """Yield ``(table, stream, context, symbol)`` of rows from the start, in the order they are written."""
    past = _Past(code)
    for row in rows:
        yield from _symbols(past, row)
        past.follow(row)


def _symbols(past: _Past, row: Row) -> Iterator[tuple[str, int, int, int]]:
    yield "changes", 0, past.changed, int(row.latent is not None)
    for at, move in enumerate(row.latent or ()):
        yield "latents", at, past.steps[at], _symbol(move)
    for at, one in enumerate(row.residual):
        yield "residuals", at, past.moves[at], _symbol(one)


def _symbol(move: int | None) -> int:
    if move is None:
        return MISSING
    return move + REACH if -REACH <= move <= REACH else ESCAPE


def _cost(code: Code, past: _Past, row: Row) -> float:
    """Return about how many bits a row comes to."""
    bits = 0.0
    for table, stream, before, symbol in _symbols(past, row):
        bits -= np.log2(_counts(code, table, stream)[before][symbol] / TOTAL)
    away = [one for one in (*(row.latent or ()), *row.residual) if one is not None and abs(one) > REACH]
    return float(bits + sum(8 + 8 * (abs(one).bit_length() // 8) for one in away))


def _counts(code: Code, table: str, stream: int) -> tuple[tuple[int, ...], ...]:
    if table == "changes":
        return code.changes
    return code.latents[stream] if table == "latents" else code.residuals[stream]


def _pack(code: Code, rows: list[Row], past: _Past) -> bytes:
    """Write rows as the bytes of one large number; the last symbol goes in first, and comes out last."""
    parts: list[tuple[int, int, int]] = []  # what is below a symbol, its own count, the total
    for row in rows:
        moves = iter((*(row.latent or ()), *row.residual))
        for table, stream, before, symbol in _symbols(past, row):
            counts = _counts(code, table, stream)[before]
            parts.append((sum(counts[:symbol]), counts[symbol], TOTAL))
            move = next(moves) if table != "changes" else None
            if symbol == ESCAPE and move is not None:
                parts += far(move)
        past.follow(row)
    return packed(parts)


def _read(code: Code, past: _Past, state: int) -> tuple[Row, int]:
    changed, state = draw(code.changes[past.changed], state, TOTAL)
    latent: list[int] = []
    for at in range(len(code.latents) if changed else 0):
        step, state = _said(code.latents[at][past.steps[at]], state)
        if step is None:
            raise DataError("a frame says that a latent is missing", hint="it was written by something else")
        latent.append(step)
    moves = []
    for at, table in enumerate(code.residuals):
        move, state = _said(table[past.moves[at]], state)
        moves.append(move)
    return Row(tuple(latent) if changed else None, tuple(moves)), state


def _said(counts: tuple[int, ...], state: int) -> tuple[int | None, int]:
    symbol, state = draw(counts, state, TOTAL)
    if symbol == MISSING:
        return None, state
    return (symbol - REACH, state) if symbol != ESCAPE else near(state)


def _sealed(code: Code, head: bytes, body: bytes) -> bytes:
    return head + zlib.crc32(head + body, _mark(code)).to_bytes(4, "little") + body


def _opened(code: Code, data: bytes) -> tuple[int, bool, int, bytes]:
    """Check a frame's bytes; return its number, whether it is full, its rows and the state."""
    if len(data) < 8 or data[0] >> 4 != _VERSION or data[0] & 15 > _GOES_ON:
        raise DataError(f"{len(data)} bytes are no frame of version {_VERSION}")
    number, at = _unleb(data, 1)
    rows, at = _unleb(data, at)
    head, seal, body = data[:at], data[at : at + 4], data[at + 4 :]
    if zlib.crc32(head + body, _mark(code)).to_bytes(4, "little") != seal:
        raise DataError(
            "a frame is damaged or cut, or was written by another code",
            hint="have it sent again; give both ends the same model",
        )
    if not 0 < rows <= MOST_ROWS:
        raise DataError(f"a frame of {rows} rows", hint=f"1 to {MOST_ROWS} are taken")
    return number, data[0] & 15 == _FULL, rows, body


def _mark(code: Code) -> int:
    return zlib.crc32(code.to_bytes())


def _leb(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _unleb(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for turn, one in enumerate(data[at : at + 9]):
        number |= (one & 127) << 7 * turn
        if one < 128:
            return number, at + turn + 1
    raise DataError("a frame's head is cut", hint="have it sent again")


def _copied(past: _Past) -> _Past:
    found: _Past = object.__new__(_Past)
    found.__dict__.update(past.__dict__)
    found.latent, found.residual = past.latent.copy(), past.residual.copy()
    found.steps, found.moves = list(past.steps), list(past.moves)
    return found
