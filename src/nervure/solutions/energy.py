"""Electricity: foresee load and oil temperature of a transformer for four days, spot odd loads."""

from nervure.core.declaration import Rule, Signal, Solution, Source
from nervure.core.problem import AlarmPolicy, Anomaly, Forecast

solution = Solution(
    name="energy",
    title="Transformer load by circuit, and oil temperature",
    thing="circuit",
    tier="silver",
    signals=(
        Signal(name="load", unit="1", every="1h", phenomenon="Electrical load, scaled by its owner", stuck_after="12h"),
        Signal(
            name="oil_temperature", unit="Cel", every="1h", low=-40, high=140, site=True,
            phenomenon="Transformer oil temperature",
        ),
    ),
    problems=(
        Forecast(of="load", horizon="96h", window="96h", calendar="CN"),
        Forecast(of="oil_temperature", horizon="96h", window="96h", calendar="CN"),
        Anomaly(
            of=("load",), window="96h", residual="forecast-load", lead="12h",
            policy=AlarmPolicy(alarms_per_day=0.5, min_duration="3h", merge_gap="24h"),
        ),
    ),
    rules=(
        Rule(
            name="odd-load", when="score > limit for 3h", severity="minor", problem="anomaly-load",
            say="The load of {thing} is not as foreseen: {value} where {expected} was expected, since {since}.",
        ),
        Rule(
            name="overheating", when="value > 95 for 1h", severity="critical", of=("oil_temperature",),
            say="Transformer oil has been above 95 {unit} since {since} (now {value}): shed load.",
        ),
        Rule(
            name="stuck", when="flat > 12h", severity="minor", of=("load",),
            say="The load of {thing} has shown {value} without change since {since}: the meter may be stuck.",
        ),
        Rule(
            name="silent", when="silent > 6h", severity="warning", of=("load", "oil_temperature"),
            say="No {signal} from {thing} since {since}.",
        ),
    ),
    data=Source(
        folder="energy/ett",
        files=("ETTh1.parquet",),
        layout="wide",
        time="date",
        columns={"([HML]U[FL]L)": r"\1/load", "OT": "oil_temperature"},
        zone="Asia/Shanghai",
        split=("360d", "120d", "120d"),
        protocol="12/4/4 months of 30 days, 96 h in, 96 h out; MAE, also on scaled values over all seven channels",
        report_at=("24h", "48h", "96h"),
        licence="CC-BY-ND-4.0",
        cite="Zhou et al., Informer, AAAI 2021, arXiv 2012.07436; ETDataset (github.com/zhouhaoyi/ETDataset)",
    ),
)
