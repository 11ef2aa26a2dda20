"""The weather at a house: foresee temperature and sun of the coming day, for who plans its heat."""

from __future__ import annotations

from nervure.core.declaration import Signal, Solution
from nervure.core.problem import Forecast

solution = Solution(
    name="weather",
    title="Weather at a house",
    thing="weather station",
    signals=(
        Signal(name="temperature", unit="Cel", every="1h", low=-60, high=60, phenomenon="temperature"),
        Signal(name="sun", unit="W/m2", every="1h", low=0, high=1500, phenomenon="sun"),
    ),
    problems=(
        Forecast(of="temperature", horizon="24h", window="48h"),
        Forecast(of="sun", horizon="24h", window="48h"),
    ),
)
