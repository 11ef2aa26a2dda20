"""The solution that faults are tried on: a level a second, and an alert where it stands still."""

from __future__ import annotations

from nervure.core.declaration import Rule, Signal, Solution

solution = Solution(
    name="gauge",
    title="Levels that are sent while things break",
    thing="gauge",
    signals=(Signal(name="level", unit="m", every="1s", phenomenon="Level", stuck_after="60s"),),
    rules=(
        Rule(name="stuck", when="flat > 60s", severity="minor", say="{thing} shows {value} since {since}."),
    ),
)
