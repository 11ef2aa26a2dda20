"""Air quality: foresee fine dust at each station for the next twelve hours, warn of bad air."""

from functools import partial

from nervure.core.declaration import Rule, Signal, Solution, Source
from nervure.core.problem import AlarmPolicy, Anomaly, Forecast

_gas = partial(Signal, unit="ug/m3", every="1h", low=0)

solution = Solution(
    name="air", tier="silver",
    title="Fine dust and gases by monitoring station",
    thing="air quality station",
    signals=(
        _gas(name="pm25", high=1500, phenomenon="PM2.5 mass concentration", stuck_after="8h"),
        _gas(name="pm10", high=2500, phenomenon="PM10 mass concentration"),
        _gas(name="so2", high=2000, phenomenon="Sulphur dioxide mass concentration"),
        _gas(name="no2", high=1000, phenomenon="Nitrogen dioxide mass concentration"),
        _gas(name="co", high=50000, phenomenon="Carbon monoxide mass concentration"),
        _gas(name="o3", high=1500, phenomenon="Ozone mass concentration"),
        Signal(name="temperature", unit="Cel", every="1h", low=-50, high=60, phenomenon="Air temperature"),
        Signal(name="pressure", unit="hPa", every="1h", low=850, high=1100, phenomenon="Air pressure"),
        Signal(name="dew_point", unit="Cel", every="1h", low=-60, high=40, phenomenon="Dew point"),
        Signal(name="rain", unit="mm", every="1h", low=0, high=200, phenomenon="Rainfall depth"),
        Signal(name="wind", unit="m/s", every="1h", low=0, high=75, phenomenon="Wind speed"),
    ),
    problems=(
        Forecast(
            of="pm25", horizon="12h", window="12h", calendar="CN",
            past=("temperature", "pressure", "dew_point", "rain", "wind"),
        ),
        Anomaly(
            of=("pm25",), window="12h", residual="forecast-pm25", lead="1h",
            policy=AlarmPolicy(alarms_per_day=0.5, min_duration="2h", merge_gap="12h"),
        ),
    ),
    rules=(
        Rule(
            name="surge", when="score > limit for 2h", severity="minor", problem="anomaly-pm25",
            say="Fine dust at {thing} is not as foreseen: {value} {unit} where {expected} was expected, since {since}.",
        ),
        Rule(
            name="unhealthy", when="value > 150 for 3h", severity="major", of=("pm25",),
            say="Heavily polluted air at {thing}: PM2.5 has been above 150 {unit} since {since} (now {value}).",
        ),
        Rule(name="stuck", when="flat > 8h", severity="minor", of=("pm25",),
             say="PM2.5 at {thing} has been {value} {unit} without change since {since}: the monitor may be stuck."),
        Rule(name="silent", when="silent > 6h", severity="warning", of=("pm25",), say="No PM2.5 from {thing} since {since}."),
    ),
    data=Source(
        folder="air_quality/beijing_multisite", files=("prsa.parquet",), layout="long", thing="station",
        columns={
            r"PM2\.5": "pm25", "PM10": "pm10", "SO2": "so2", "NO2": "no2", "CO": "co", "O3": "o3", "TEMP": "temperature",
            "PRES": "pressure", "DEWP": "dew_point", "RAIN": "rain", "WSPM": "wind",
        },
        zone="Asia/Shanghai", protocol="7:1:2 in time, 12 h in, 12 h out, MAE at 3, 6 and 12 h",
        report_at=("3h", "6h", "12h"), licence="none stated in the copy; UCI lists CC-BY-4.0",
        cite="Zhang et al., Proc. Royal Society A 473 (2017) 20170457, doi 10.1098/rspa.2017.0457",
    ),
)
