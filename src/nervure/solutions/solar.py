"""Solar power: foresee each plant's output for the day to come from a weather forecast, spot lost output."""

from functools import partial

from nervure.core.declaration import Rule, Signal, Solution, Source
from nervure.core.problem import AlarmPolicy, Anomaly, Forecast

_nwp = partial(Signal, every="1h", ahead="48h")  # a weather forecast by ECMWF for the plant, of the run of 00:00 UTC
_flux = partial(Signal, unit="W/m2", every="1h", low=-5, high=1500, ahead="48h")
WEATHER = (
    "irradiance", "toa_net", "thermal", "cloud", "cloud_water", "cloud_ice", "humidity", "temperature", "rain", "wind_u", "wind_v",
    "pressure",
)

solution = Solution(
    name="solar", tier="silver",
    title="Solar power by plant, from weather forecasts",
    thing="solar plant",
    signals=(
        Signal(name="power", unit="1", every="1h", low=0, high=1, phenomenon="Output over nominal power"),
        _flux(name="irradiance", phenomenon="Surface solar radiation downwards"),
        _flux(name="toa_net", phenomenon="Net solar radiation at the top of the atmosphere"),
        _flux(name="thermal", phenomenon="Surface thermal radiation downwards"),
        _nwp(name="cloud", unit="1", low=-0.01, high=1.01, phenomenon="Total cloud cover"),
        _nwp(name="cloud_water", unit="kg/m2", low=-0.01, high=20, phenomenon="Total column liquid water of clouds"),
        _nwp(name="cloud_ice", unit="kg/m2", low=-0.01, high=20, phenomenon="Total column ice of clouds"),
        _nwp(name="humidity", unit="%", low=0, high=110, phenomenon="Relative humidity at 1000 hPa"),
        _nwp(name="temperature", unit="Cel", low=-60, high=60, phenomenon="Air temperature at 2 m"),
        _nwp(name="rain", unit="mm", low=0, high=200, phenomenon="Precipitation in the hour"),
        _nwp(name="wind_u", unit="m/s", low=-80, high=80, phenomenon="Eastward wind at 10 m"),
        _nwp(name="wind_v", unit="m/s", low=-80, high=80, phenomenon="Northward wind at 10 m"),
        _nwp(name="pressure", unit="hPa", low=500, high=1100, phenomenon="Surface pressure"),
    ),
    problems=(
        Forecast(of="power", horizon="24h", window="24h", future=WEATHER, ground="clear-sky"),
        Anomaly(
            of=("power",), window="24h", residual="forecast-power", lead="1h", side="low",
            policy=AlarmPolicy(alarms_per_day=0.2, min_duration="3h", merge_gap="24h"),
        ),
    ),
    rules=(
        Rule(name="lost-output", when="score > limit for 3h", severity="minor", problem="anomaly-power",
             say="{thing} gives less than its weather explains: {value} of nominal power where {expected} was expected, since {since}."),
        Rule(name="silent", when="silent > 6h", severity="warning", of=("power",), say="No output reading from {thing} since {since}."),
    ),
    data=Source(
        folder="solar/gefcom2014_solar", files=("power_nwp.parquet",), layout="long", prepare="gefcom", time="TIMESTAMP", thing="ZONEID",
        columns=dict(zip(("POWER", "VAR169", "VAR178", "VAR175", "VAR164", "VAR78", "VAR79", "VAR157", "VAR167", "VAR228", "VAR165",
                          "VAR166", "VAR134"), ("power", *WEATHER), strict=True)),
        units={"temperature": "K", "pressure": "Pa"},
        # The competition does not say where the plants are: found from when light starts and ends above the air by
        # nervure.learn.sun.locate (good to about 0.3 degrees): near Canberra. The time of a row is the end of its hour.
        places={"zone 1": (149.28, -35.28), "zone 2": (149.36, -35.50), "zone 3": (149.36, -35.49)},
        split=("rest", "28d", "30d"), protocol="Task 1: April 2013 from its weather forecasts, mean pinball over 99 quantiles and 3 zones",
        report_at=("3h", "6h", "24h"), licence="none stated: for measurement only",
        cite="Hong et al., International Journal of Forecasting 32(3), 2016, doi 10.1016/j.ijforecast.2016.02.001",
    ),
)
