"""Crowds in the metro: foresee who enters each station over the next two hours, spot crushes and closures."""

from nervure.core.declaration import Rule, Signal, Solution, Source
from nervure.core.problem import AlarmPolicy, Anomaly, Forecast

solution = Solution(
    name="crowd",
    title="Passengers entering and leaving by metro station",
    thing="metro station",
    tier="silver",
    signals=(
        Signal(
            name="inflow", unit="1", every="10min", low=0, high=10000, phenomenon="Passengers entering in ten minutes",
            stuck_after="3h",
        ),
        Signal(name="outflow", unit="1", every="10min", low=0, high=10000, phenomenon="Passengers leaving in ten minutes"),
    ),
    problems=(
        Forecast(of="inflow", horizon="2h", window="2h", graph="track", calendar="CN"),
        Forecast(of="outflow", horizon="2h", window="2h", past=("inflow",), graph="track", calendar="CN"),
        Anomaly(
            of=("inflow",), window="2h", residual="forecast-inflow", lead="30min",
            policy=AlarmPolicy(alarms_per_day=2.0, min_duration="20min", merge_gap="2h"),
        ),
    ),
    rules=(
        Rule(
            name="odd-flow", when="score > limit for 20min", severity="major", problem="anomaly-inflow",
            say="Passengers entering {thing} are not as foreseen: {value} in ten minutes where {expected} were expected, since {since}.",
        ),
        Rule(
            name="crush", when="value > 3000 for 20min", severity="major", of=("inflow",),
            say="Crush at {thing}: more than 3000 passengers have entered every ten minutes since {since} (now {value}).",
        ),
        Rule(
            name="stuck", when="flat > 3h", severity="minor", of=("inflow",),
            say="The gates of {thing} have counted {value} every ten minutes without change since {since}: they may be stuck.",
        ),
        Rule(name="silent", when="silent > 1h", severity="warning", of=("inflow",), say="No count from {thing} since {since}."),
    ),
    data=Source(
        folder="crowd/beijing_metro",
        files=("inflow_10min.parquet", "outflow_10min.parquet", "adjacency.parquet"),
        layout="wide",
        prepare="metro",
        columns={r"inflow (st\d+)": r"\1/inflow", r"outflow (st\d+)": r"\1/outflow"},
        zone="Asia/Shanghai",
        gaps=0.6,  # six hours of each night, and weekends
        # 7:1:2 of the 25 days of 108 steps, as the literature cuts: 17.5, 2.5 and 5 days, on true time
        split=("561h", "111h", "114h"),
        protocol="7:1:2 of 25 weekdays, 12 steps in, 12 out; MAE at 10, 30, 60 and 120 min and on average",
        report_at=("10min", "30min", "1h", "2h"),
        licence="none stated: for measurement only",
        cite="Zhang et al., IEEE T-ITS 2020, doi 10.1109/TITS.2020.3000761",
    ),
)
