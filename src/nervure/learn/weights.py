"""Weights beside a package: what a later training starts from. Signed, and never unpickled.

A package is for running, its graph no longer knows which number belonged to which layer. So the
parameters lie beside it, ``NAME.safetensors`` beside ``NAME.onnx``, with the names of the streams,
and sealed with the key that signed the package.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from nervure.core.error import ModelError
from nervure.learn.task import Samples
from nervure.trust.signature import SigningKey, check, seal

__all__ = ["SUFFIX", "Start", "Weights", "pack", "replay", "take_over", "unpack"]

SUFFIX = ".safetensors"
_FACTS = "nervure.weights"
_SEAL = "nervure.seal"


class _Facts(msgspec.Struct, frozen=True, kw_only=True):
    model: str
    package: str
    streams: tuple[str, ...]
    recipe: dict[str, Any] = {}


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of a packaged net by name, and the streams in the order of its nodes.

    ``package`` is the SHA-256 of the package that they are of, ``recipe`` how they were trained.
    """

    model: str
    package: str
    streams: tuple[str, ...]
    tensors: dict[str, Tensor]
    recipe: dict[str, Any] = {}


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """Where a training starts from: weights, and which samples it is shown.

    Of the samples that end their window before row ``since`` only some are replayed: ``share`` of
    all that are shown, spread evenly over the past.
    """

    weights: Weights
    since: int
    share: float = 0.5


def pack(
    module: nn.Module,
    model: str,
    streams: tuple[str, ...],
    package: bytes,
    key: SigningKey,
    *,
    recipe: msgspec.Struct | None = None,
) -> bytes:
    """Return the file of weights that belongs to a package."""
    how = {} if recipe is None else msgspec.to_builtins(recipe)
    told = _Facts(model=model, package=sha256(package).hexdigest(), streams=streams, recipe=how)
    facts = msgspec.json.encode(told)
    tensors = {
        name: one.detach().to("cpu", torch.float32).contiguous().clone()
        for name, one in module.named_parameters()
    }
    return save(tensors, {_FACTS: facts.decode(), _SEAL: seal(_digest(facts, tensors), key)})


def unpack(data: bytes, keys: Iterable[bytes]) -> Weights:
    """Return the weights of a file, if one of the public keys sealed exactly them."""
    try:
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")
        told = msgspec.json.decode(data[8 : 8 + length])["__metadata__"]
        facts, sealed = told[_FACTS].encode(), told[_SEAL]
        read = msgspec.json.decode(facts, type=_Facts)
    except (SafetensorError, msgspec.MsgspecError, KeyError, TypeError) as cause:
        raise ModelError(
            f"the weights cannot be read: {str(cause).partition(chr(10))[0]}",
            hint="train anew: nervure train without --renew",
        ) from cause
    check(_digest(facts, tensors), sealed, keys, what="file of weights")
    return Weights(**msgspec.structs.asdict(read), tensors=tensors)


def _digest(facts: bytes, tensors: Mapping[str, Tensor]) -> bytes:
    """Return a SHA-256 over what is said and every tensor, in the order of their names."""
    digest = sha256(facts)
    for name in sorted(tensors):
        array = tensors[name].numpy()
        digest.update(f"\n{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.digest()


def take_over(module: nn.Module, weights: Weights, streams: tuple[str, ...]) -> float:
    """Put the weights into a fresh net and return the share of its parameters that were taken.

    What belongs to a node (``node`` in its name, a row for each) goes by the name of the stream, so
    that sensors may come and go; what has another shape or name stays fresh.
    """
    place = {name: row for row, name in enumerate(weights.streams)}
    kept = [(row, place[name]) for row, name in enumerate(streams) if name in place]
    taken = total = 0
    with torch.no_grad():
        for name, own in module.named_parameters():
            total += own.numel()
            old = weights.tensors.get(name)
            if old is None or old.shape[1:] != own.shape[1:]:
                continue
            rows = own.shape[:1], old.shape[:1]
            if "node" in name and rows == ((len(streams),), (len(weights.streams),)):
                to, of = (torch.tensor([pair[side] for pair in kept], dtype=torch.long) for side in (0, 1))
                own[to] = old[of].to(own)
                taken += own[to].numel()
            elif old.shape == own.shape:
                own.copy_(old)
                taken += own.numel()
    return taken / max(1, total)


def replay(chosen: Samples, start: Start) -> Samples:
    """Return the samples since ``start.since``, and before them as many as its share allows.

    Times are kept or left whole, so that joint tasks stay in whole rounds.
    """
    times = np.unique(chosen.last)
    old, new = times[times < start.since], times[times >= start.since]
    if not len(new):
        return chosen
    wanted = int(np.ceil(len(new) * start.share / max(1e-9, 1 - start.share)))
    kept: NDArray[np.int64] = old[np.unique(np.linspace(0, len(old) - 1, min(len(old), wanted)).astype(int))]
    return chosen.take(np.isin(chosen.last, np.concatenate([kept, new])))
