"""The weather at a house: foresee the temperature of the coming day, for who plans its heat."""

from __future__ import annotations

from nervure.core.declaration import Signal, Solution
from nervure.core.problem import Forecast

solution = Solution(
    name="weather",
    title="Weather at a house",
    thing="weather station",
    signals=(Signal(name="temperature", unit="Cel", every="1h", low=-60, high=60, phenomenon="temperature"),),
    problems=(Forecast(of="temperature", horizon="24h", window="48h"),),
)
