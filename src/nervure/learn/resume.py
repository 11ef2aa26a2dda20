"""Checkpoints: a training that was killed goes on where it was, and ends with the same bits.

A training has a folder of its own, named after everything that decides its weights. In it lies one
pair of files: the tensors (safetensors) and, written last, a JSON file that names them with their
SHA-256 and says where the training is. Both are moved into place whole, so a kill at any moment
leaves the pair before or the pair after. Nothing is unpickled.

    <data>/training/1f0c…/412.safetensors     module, running average, best, optimizer, random state
    <data>/training/1f0c…/checkpoint.json     step, history, time spent, order of the samples
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

import nervure

__all__ = [
    "Checkpoints",
    "Mark",
    "Step",
    "capture",
    "deal",
    "identity",
    "random_text",
    "restore",
    "restore_random",
    "training_folder",
]

_POINTER = "checkpoint.json"
_LOCK = "lock"
_KEPT_S = 14 * 86_400.0  # a training that was killed is gone on with within that time, or not at all
_EVERY_S = 30.0
_SHARE = 0.05  # of the time may go into writing checkpoints
_NAME = 24  # hexadecimal digits of an identity


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One look during training: the loss, and the mean absolute error on validation in raw units."""

    step: int
    loss: float
    validation: float


class Mark(msgspec.Struct, kw_only=True):
    """Where a training is, but for its tensors.

    ``dealt`` is the random state that the order of this epoch was drawn from and ``place`` how far
    the order has been followed, ``random`` the state now; ``losses`` are those since the last look.
    ``wall_s`` and ``cpu_s`` count what was spent up to here, also by processes that were killed.
    """

    step: int = 0
    total: int = 0
    due: int = 0
    worse: int = 0
    losses: float = 0.0
    over: bool = False
    history: list[Step] = []
    place: int = 0
    dealt: str = ""
    random: str = ""
    wall_s: float = 0.0
    cpu_s: float = 0.0

    @property
    def least(self) -> float:
        """The smallest error seen on validation."""
        return min((one.validation for one in self.history), default=math.inf)


class _Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """Which file of tensors is meant, and where the training is with them."""

    identity: str
    tensors: str
    sha256: str
    mark: msgspec.Raw


class Checkpoints:
    """The checkpoints of one training; ``tell`` hears what a person should know.

    If another process trains the same at this moment, it keeps none. A disk that is full ends the
    keeping, not the training.
    """

    def __init__(
        self,
        folder: Path,
        identity: str,
        *,
        every_s: float = _EVERY_S,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.folder = folder / identity
        self.identity = identity
        self._tell = tell or (lambda _: None)
        self._every_s, self._cost_s, self._saved = every_s, 0.0, time.monotonic()
        self._lock: int | None = None
        self._on = self._claim()
        self._forget(folder)

    def _forget(self, folder: Path) -> None:
        """Take away what nobody came back for: readings that grow make each training another one."""
        for pointer in folder.glob(f"*/{_POINTER}"):
            with contextlib.suppress(OSError):
                if time.time() - pointer.stat().st_mtime > _KEPT_S and pointer.parent != self.folder:
                    shutil.rmtree(pointer.parent)

    def _claim(self) -> bool:
        """Lock the folder for this process."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._tell("the same training goes on in another process; this one keeps no checkpoints")
            return False
        except OSError as cause:
            self._tell(f"no checkpoints: {self.folder} cannot be written ({cause.strerror})")
            return False
        return True

    def load(self) -> tuple[dict[str, Tensor], Mark] | None:
        """Return the tensors and the mark that were kept last, or None.

        What is damaged, or is not of this training, is said and taken away.
        """
        if not self._on or not (self.folder / _POINTER).exists():
            return None
        try:
            pointer = msgspec.json.decode((self.folder / _POINTER).read_bytes(), type=_Pointer)
            data = (self.folder / Path(pointer.tensors).name).read_bytes()
            if pointer.identity != self.identity:
                self._refuse("it is of another training")
            elif sha256(data).hexdigest() != pointer.sha256:
                self._refuse("its tensors were changed or cut short")
            else:
                return load(data), msgspec.json.decode(pointer.mark, type=Mark)
        except (OSError, msgspec.MsgspecError, SafetensorError) as cause:
            self._refuse(str(cause).partition("\n")[0])
        return None

    def _refuse(self, why: str) -> None:
        self._tell(f"the checkpoint cannot be used ({why}); the training begins anew")
        self._empty()

    def resume(
        self, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, random: np.random.Generator
    ) -> Mark:
        """Set everything to where the last checkpoint was, or return a fresh mark and change nothing."""
        found = self.load()
        if found is None:
            return Mark()
        tensors, mark = found
        try:
            restore(tensors, modules, optimizer)
        except (RuntimeError, KeyError, ValueError) as cause:
            self._refuse(str(cause))
            return Mark()
        restore_random(random, mark.random)
        self._tell(f"going on at step {mark.step:,} of {mark.total:,}")
        return mark

    def keep(
        self,
        modules: Mapping[str, nn.Module],
        optimizer: torch.optim.Optimizer,
        random: np.random.Generator,
        mark: Mark,
    ) -> None:
        """Keep everything as it is now."""
        mark.random = random_text(random)
        self.save(capture(modules, optimizer), mark)

    def wanted(self, *, looked: bool, over: bool) -> bool:
        """Whether to keep one now: after a look, after some time, if that takes a small share of it."""
        passed = time.monotonic() - self._saved
        cheap = passed >= self._cost_s / _SHARE
        return self._on and (over or (cheap and (looked or passed >= self._every_s)))

    def save(self, tensors: Mapping[str, Tensor], mark: Mark) -> None:
        """Write the tensors and the mark in place of those before."""
        if not self._on:
            return
        began = time.monotonic()
        try:
            data = save({key: one.detach().cpu().contiguous().clone() for key, one in tensors.items()})
            file = f"{mark.step}.safetensors"
            _write(self.folder / file, data)
            pointer = _Pointer(
                identity=self.identity,
                tensors=file,
                sha256=sha256(data).hexdigest(),
                mark=msgspec.Raw(msgspec.json.encode(mark)),
            )
            _write(self.folder / _POINTER, msgspec.json.encode(pointer))
            for old in self.folder.glob("*.safetensors"):
                if old.name != file:
                    old.unlink(missing_ok=True)
        except OSError as cause:
            self._on = False
            self._tell(f"no more checkpoints: {self.folder} cannot be written ({cause.strerror})")
        self._saved = time.monotonic()
        self._cost_s = self._saved - began

    def clear(self) -> None:
        """Take everything away: the training is over."""
        if self._on:
            self._empty()
            with contextlib.suppress(OSError):
                (self.folder / _LOCK).unlink()
                self.folder.rmdir()
        self.close()

    def close(self) -> None:
        """Let go of the folder; what is kept stays."""
        self._on = False
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _empty(self) -> None:
        with contextlib.suppress(OSError):
            for file in (*self.folder.glob("*.json"), *self.folder.glob("*.safetensors")):
                file.unlink(missing_ok=True)
            for draft in self.folder.glob(".*.draft"):
                draft.unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole, also after a power cut, or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def training_folder(data: Path) -> Path:
    """Return where trainings keep their checkpoints below the data folder."""
    return data / "training"


def identity(*parts: Any) -> str:
    """Return a name for what decides the weights: structs, arrays, tensors, numbers and texts.

    The versions of this package and of torch are part of it.

    >>> identity({"rate": 0.1}, np.zeros(3)) == identity({"rate": 0.1}, np.zeros(3))
    True
    >>> identity(np.zeros(3)) == identity(np.zeros((3, 1)))
    False
    """
    digest = sha256(f"{nervure.__version__} {torch.__version__}".encode())
    _feed(digest.update, parts)
    return digest.hexdigest()[:_NAME]


def _feed(update: Callable[[bytes], None], value: Any) -> None:
    match value:
        case Tensor():
            _feed(update, value.detach().cpu().numpy())
        case np.ndarray():
            update(f"{value.dtype}{value.shape}".encode())
            update(np.ascontiguousarray(value).tobytes())
        case msgspec.Struct():
            _feed(update, {name: getattr(value, name) for name in value.__struct_fields__})
        case dict():
            for key, one in value.items():
                update(f"{key}=".encode())
                _feed(update, one)
        case list() | tuple():
            update(f"[{len(value)}".encode())
            for one in value:
                _feed(update, one)
        case _:
            update(f"{type(value).__name__}:{value!r};".encode())


def capture(modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return everything that training changes, as named tensors, with torch's random state."""
    found = {
        f"{name}/{key}": tensor for name, one in modules.items() for key, tensor in one.state_dict().items()
    }
    for number, values in optimizer.state_dict()["state"].items():
        for key, value in values.items():
            found[f"optimizer/{number}/{key}"] = torch.as_tensor(value)
    found["random/cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        found["random/cuda"] = torch.cuda.get_rng_state()
    return found


def restore(
    tensors: Mapping[str, Tensor], modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
) -> None:
    """Undo :func:`capture`; raises ``RuntimeError`` if the tensors are of another net, changing nothing."""
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        head, _, key = name.partition("/")
        parts.setdefault(head, {})[key] = tensor
    for name, module in modules.items():
        wanted = {key: one.shape for key, one in module.state_dict().items()}
        if {key: one.shape for key, one in parts.get(name, {}).items()} != wanted:
            raise RuntimeError(f"the {name} of the checkpoint has other tensors than the net")
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in parts.get("optimizer", {}).items():
        number, _, key = name.partition("/")
        state.setdefault(int(number), {})[key] = tensor
    if not set(state) <= set(range(sum(len(group["params"]) for group in optimizer.param_groups))):
        raise RuntimeError("the optimizer of the checkpoint has more parameters than the net")
    for name, module in modules.items():
        module.load_state_dict(parts[name])
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    torch.set_rng_state(parts["random"]["cpu"])
    if "cuda" in parts["random"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(parts["random"]["cuda"])


def deal(random: np.random.Generator, mark: Mark, units: int, size: int) -> Iterator[NDArray[np.int64]]:
    """Yield the units of each batch in a random order, epoch after epoch, from where the mark is.

    The mark follows: what it says after a batch goes on with the next one.

    >>> mark, drawn = Mark(), np.random.default_rng(0)
    >>> first = [one.tolist() for one, _ in zip(deal(drawn, mark, 5, 2), range(3))]
    >>> mark, drawn = Mark(), np.random.default_rng(0)
    >>> half = next(deal(drawn, mark, 5, 2)).tolist()
    >>> rest = [one.tolist() for one, _ in zip(deal(drawn, mark, 5, 2), range(2))]
    >>> [half, *rest] == first
    True
    """
    while True:
        now = random_text(random)
        again = bool(mark.dealt)
        if again:
            restore_random(random, mark.dealt)
        else:
            mark.dealt, mark.place = now, 0
        order = random.permutation(units).astype(np.int64)
        if again:
            restore_random(random, now)
        for start in range(mark.place, units - size + 1, size):
            mark.place = start + size
            yield order[start : start + size]
        mark.dealt = ""


def random_text(random: np.random.Generator) -> str:
    """Return the state of a generator as text.

    >>> one, other = np.random.default_rng(1), np.random.default_rng(2)
    >>> restore_random(other, random_text(one))
    >>> bool(one.random() == other.random())
    True
    """
    return json.dumps(random.bit_generator.state)


def restore_random(random: np.random.Generator, text: str) -> None:
    """Set a generator to a state that :func:`random_text` wrote."""
    random.bit_generator.state = json.loads(text)
