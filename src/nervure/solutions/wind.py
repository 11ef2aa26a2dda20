"""Wind power: foresee the plant's and each turbine's output for six hours, spot turbines that give too little."""

from functools import partial

from nervure.core.declaration import Rule, Signal, Solution, Source
from nervure.core.problem import AlarmPolicy, Anomaly, Forecast

_own = partial(Signal, every="10min")
_site = partial(Signal, every="10min", site=True)
_own_flow = partial(Signal, every="10min", unit="m/s", low=-75, high=75)  # a component, negative towards west or south
_site_flow = partial(_own_flow, site=True)

solution = Solution(
    name="wind", tier="silver",
    title="Wind power by turbine and plant",
    thing="wind turbine",
    signals=(
        _own(name="power", unit="kW", low=-100, high=2200, phenomenon="Active power", stuck_after="6h"),
        _own(name="wind", unit="m/s", low=0, high=75, phenomenon="Wind speed at the nacelle"),
        _own_flow(name="wind_u", phenomenon="Eastward wind at the nacelle"),
        _own_flow(name="wind_v", phenomenon="Northward wind at the nacelle"),
        _own(name="temperature", unit="Cel", low=-40, high=60, phenomenon="Air temperature at the nacelle"),
        _site(name="plant_power", unit="kW", low=-400, high=8800, phenomenon="Active power of the plant"),
        _site(name="plant_wind", unit="m/s", low=0, high=75, phenomenon="Mean wind speed at the nacelles"),
        _site_flow(name="plant_wind_u", phenomenon="Mean eastward wind at the nacelles"),
        _site_flow(name="plant_wind_v", phenomenon="Mean northward wind at the nacelles"),
        _site(name="plant_temperature", unit="Cel", low=-40, high=60, phenomenon="Mean air temperature at the nacelles"),
        # ERA5 is a reanalysis: made days later, from observations before and after its hour. It is no forecast; with
        # it a model shows what a perfect weather forecast would give (set "wind-weather"), so no problem here takes it.
        _site_flow(name="era5_u", phenomenon="Eastward wind at 100 m (ERA5)"),
        _site_flow(name="era5_v", phenomenon="Northward wind at 100 m (ERA5)"),
        _site(name="era5_wind", unit="m/s", low=0, high=75, phenomenon="Wind speed at 100 m (ERA5)"),
        _site(name="era5_density", unit="kg/m3", low=0.8, high=1.6, phenomenon="Air density at 100 m (ERA5)"),
    ),
    problems=(
        Forecast(of="plant_power", horizon="6h", window="6h", ground="power-curve",
                 past=("plant_wind", "plant_wind_u", "plant_wind_v", "plant_temperature")),
        Forecast(of="power", horizon="6h", window="6h", ground="power-curve", past=("wind", "wind_u", "wind_v", "temperature")),
        Anomaly(of=("power",), window="6h", residual="forecast-power", lead="10min", side="low",
                policy=AlarmPolicy(alarms_per_day=0.5, min_duration="1h", merge_gap="12h")),
    ),
    rules=(
        Rule(name="lost-output", when="score > limit for 1h", severity="minor", problem="anomaly-power",
             say="{thing} gives less than foreseen: {value} {unit} where {expected} was expected, since {since}."),
        Rule(name="stuck", when="flat > 6h", severity="minor", of=("power",),
             say="The power of {thing} has been {value} {unit} without change since {since}: it may be stopped, or its meter stuck."),
        Rule(name="silent", when="silent > 1h", severity="warning", of=("power",), say="No power from {thing} since {since}."),
    ),
    data=Source(
        folder="wind/la_haute_borne", files=("scada_10min.parquet", "era5_hourly.parquet"), layout="wide", prepare="haute_borne", time="time",
        columns={
            r"(R\d+) power": r"\1/power", r"(R\d+) wind": r"\1/wind", r"(R\d+) u": r"\1/wind_u", r"(R\d+) v": r"\1/wind_v",
            r"(R\d+) temperature": r"\1/temperature", "plant power": "plant_power", "plant wind": "plant_wind",
            "plant u": "plant_wind_u", "plant v": "plant_wind_v", "plant temperature": "plant_temperature", "ERA5 u_100": "era5_u",
            "ERA5 v_100": "era5_v", "ERA5 ws_100m": "era5_wind", "ERA5 dens_100m": "era5_density",
        },
        protocol="7:1:2 in time, plant power 1 h and 6 h ahead, skill over persistence", report_at=("10min", "1h", "3h", "6h"),
        licence="Licence Ouverte 2.0 (Etalab); ERA5: Copernicus", cite="ENGIE La Haute Borne; Perr-Sauer et al., OpenOA, JOSS 6(58), 2021",
    ),
)
