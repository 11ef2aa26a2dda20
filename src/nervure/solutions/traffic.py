"""Road traffic: foresee the speed at each loop detector for the next hour, spot incidents."""

from nervure.core.declaration import Rule, Signal, Solution, Source
from nervure.core.problem import AlarmPolicy, Anomaly, Forecast

solution = Solution(
    name="traffic",
    title="Road speed and incidents by loop detector",
    thing="loop detector",
    tier="silver",
    signals=(
        Signal(
            name="speed", unit="[mi_i]/h", every="5min", low=0, high=120, phenomenon="Mean vehicle speed",
            stuck_after="1h",
        ),
    ),
    problems=(
        Forecast(of="speed", horizon="1h", window="1h", graph="road", calendar="US-CA", model="mixer"),
        Anomaly(
            of=("speed",), window="1h", residual="forecast-speed", lead="15min",
            policy=AlarmPolicy(alarms_per_day=2.0, min_duration="10min", merge_gap="1h"),
        ),
    ),
    rules=(
        Rule(
            name="incident", when="score > limit for 10min", severity="major", problem="anomaly-speed",
            say="Likely incident at {thing}: {value} {unit} where {expected} was expected, since {since}.",
        ),
        Rule(
            name="standstill", when="value < 10 for 15min", severity="minor", of=("speed",),
            say="Traffic at {thing} has stood still since {since}: {value} {unit}.",
        ),
        Rule(
            name="stuck", when="flat > 1h", severity="minor", of=("speed",),
            say="The detector {thing} has shown {value} {unit} without change since {since}: it may be stuck.",
        ),
        Rule(
            name="silent", when="silent > 15min", severity="warning", of=("speed",),
            say="No speed from {thing} since {since}.",
        ),
    ),
    data=Source(
        folder="traffic/los_loop",
        files=("speed.parquet", "adjacency.parquet"),
        layout="wide",
        columns={r"(\d+)": r"\1/speed"},
        zone="America/Los_Angeles",
        split=(0.7, 0.1, 0.2),
        protocol="7:1:2 in time, 12 steps in, 12 out, MAE at 15, 30 and 60 min",
        report_at=("15min", "30min", "1h"),
        licence="none stated: for measurement only",
        cite="Zhao et al., T-GCN, IEEE T-ITS 2019, arXiv 1811.05320; Li et al., DCRNN, ICLR 2018, arXiv 1707.01926",
    ),
)
