"""Nervure joins deep learning to the sensors of a city: sense, store, learn, score, act."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
