"""Sets that prove a kind of model and are no solution of their own: declared here, read as any other.

``etth2`` is the second transformer; ``runoff`` is rain to river (airGR's example catchment); ``i94`` and
``bike`` are one road and one city's bicycles with their weather; ``metr_la`` and ``pems08`` are for
files that the user has.
"""

from __future__ import annotations

from functools import partial

import msgspec

from nervure.core.declaration import Signal, Solution, Source
from nervure.core.problem import Forecast
from nervure.solutions import find

__all__ = ["bike", "etth2", "i94", "metr_la", "pems08", "runoff"]

_hourly = partial(Signal, every="1h", site=True)
_daily = partial(Signal, every="1d", site=True)


def etth2() -> Solution:
    """Return the energy solution on the second transformer, ETTh2."""
    first = find("energy")
    assert first.data is not None  # noqa: S101  it is declared in our own file
    data = msgspec.structs.replace(first.data, files=("ETTh2.parquet",))
    return msgspec.structs.replace(first, name="etth2", title="Transformer load, ETTh2", data=data)


def runoff() -> Solution:
    """Return the daily discharge of a catchment of 360 km2, from rain and potential evaporation.

    The rain of the days foreseen is what fell: this asks how well rain explains the river, as
    rainfall-runoff models are judged, and not how well rain is foreseen.
    """
    return Solution(
        name="runoff",
        title="Discharge of a catchment from its rain",
        thing="catchment",
        signals=(
            Signal(
                name="discharge", unit="mm/d", every="1d", low=0, high=200, phenomenon="Discharge per area"
            ),
            _daily(name="rain", unit="mm", low=0, high=500, phenomenon="Rainfall depth"),
            _daily(name="evaporation", unit="mm", low=0, high=30, phenomenon="Potential evapotranspiration"),
            _daily(name="temperature", unit="Cel", low=-50, high=60, phenomenon="Air temperature"),
        ),
        problems=(
            Forecast(
                of="discharge", horizon="3d", window="60d", future=("rain", "evaporation", "temperature")
            ),
        ),
        data=Source(
            folder="flood/airgr_l0123001",
            files=("daily.parquet",),
            layout="wide",
            time="date",
            columns={"Qmm": "L0123001/discharge", "P": "rain", "E": "evaporation", "T": "temperature"},
            protocol="7:1:2 of 29 years in time, 1 to 3 days, Nash-Sutcliffe efficiency",
            report_at=("1d", "2d", "3d"),
            licence="GPL-2 (the package airGR)",
            cite="Coron et al., airGR, Environmental Modelling & Software 94, 2017",
        ),
    )


def i94() -> Solution:
    """Return the hourly traffic of Interstate 94 westbound, with its weather so far."""
    return Solution(
        name="i94",
        title="Traffic of Interstate 94 by hour",
        thing="road",
        signals=(
            Signal(name="volume", unit="1", every="1h", low=0, high=10000, phenomenon="Vehicles in an hour"),
            _hourly(name="cloud", unit="%", low=0, high=100, phenomenon="Cloud cover"),
            _hourly(name="rain", unit="mm", low=0, high=300, phenomenon="Rainfall depth"),
            _hourly(name="snow", unit="mm", low=0, high=300, phenomenon="Snowfall depth"),
            _hourly(name="temperature", unit="Cel", low=-60, high=60, phenomenon="Air temperature"),
        ),
        problems=(
            Forecast(
                of="volume", horizon="24h", window="48h", past=("temperature", "rain", "snow", "cloud"),
                calendar="US-MN",
            ),
        ),
        data=Source(
            folder="traffic/metro_interstate_i94",
            files=("i94.parquet",),
            layout="wide",
            time="datetime",
            columns={
                "traffic_volume": "I-94/volume", "clouds_all": "cloud", "rain_1h": "rain", "snow_1h": "snow",
                "temp": "temperature",
            },
            units={"temperature": "K"},
            zone="Etc/GMT+6",  # the hour that clocks skip in March is in the file: its clock does not change
            protocol="7:1:2 in time, 24 h ahead, MAE",
            report_at=("1h", "6h", "12h", "24h"),
            licence="none stated in the copy; UCI lists CC-BY-4.0",
            cite="Hogue, Metro Interstate Traffic Volume, UCI Machine Learning Repository, 2019",
        ),
    )  # fmt: skip


def bike() -> Solution:
    """Return the hourly rentals of Capital Bikeshare, Washington DC."""
    return Solution(
        name="bike",
        title="Rentals of Capital Bikeshare by hour",
        thing="bicycle scheme",
        signals=(
            Signal(name="rentals", unit="1", every="1h", low=0, high=5000, phenomenon="Rentals in an hour"),
            _hourly(name="temperature", unit="1", low=0, high=1, phenomenon="Air temperature over 41 Cel"),
            _hourly(name="humidity", unit="1", low=0, high=1, phenomenon="Relative humidity"),
            _hourly(name="wind", unit="1", low=0, high=1, phenomenon="Wind speed over 67 km/h"),
        ),
        problems=(
            Forecast(
                of="rentals", horizon="24h", window="48h", past=("temperature", "humidity", "wind"),
                calendar="US-DC",
            ),
        ),
        data=Source(
            folder="crowd/bike_sharing_dc",
            files=("hour.parquet",),
            layout="wide",
            columns={
                "cnt": "Washington/rentals", "temp": "temperature", "hum": "humidity", "windspeed": "wind",
            },
            zone="America/New_York",
            protocol="7:1:2 in time, 24 h ahead, MAE",
            report_at=("1h", "6h", "12h", "24h"),
            licence="none stated in the copy; UCI lists CC-BY-4.0",
            cite="Fanaee-T & Gama, Progress in Artificial Intelligence 2, 2013",
        ),
    )  # fmt: skip


def metr_la() -> Solution:
    """Return METR-LA: speed at 207 loop detectors of Los Angeles, four months of 2012."""
    return _road(
        "metr-la", "Speed by loop detector, METR-LA", unit="[mi_i]/h", high=120, split=(0.7, 0.1, 0.2),
        folder="traffic/metr_la", calendar="US-CA",
        cite="Li et al., DCRNN, ICLR 2018, arXiv 1707.01926",
    )  # fmt: skip


def pems08() -> Solution:
    """Return PEMS08: flow at 170 detectors of San Bernardino, two months of 2016."""
    return _road(
        "pems08", "Flow by detector, PEMS08", unit="1", high=5000, split=(0.6, 0.2, 0.2),
        folder="traffic/pems08", calendar="US-CA",
        cite="Guo et al., ASTGCN, AAAI 2019, doi 10.1609/aaai.v33i01.3301922",
    )  # fmt: skip


def _road(
    name: str, title: str, *, unit: str, high: float, split: tuple[float, float, float], folder: str,
    calendar: str, cite: str,
) -> Solution:  # fmt: skip
    return Solution(
        name=name,
        title=title,
        thing="detector",
        signals=(Signal(name="value", unit=unit, every="5min", low=0, high=high, phenomenon="Reading"),),
        problems=(Forecast(of="value", horizon="1h", window="1h", graph="road", calendar=calendar),),
        data=Source(
            folder=folder,
            layout="wide",
            prepare="benchmark",
            columns={"(.+)": r"\1/value"},
            zone="Etc/GMT+8",  # steps are counted without regard to the clocks' change, or have none in them
            split=split,
            protocol="in time as published, 12 steps in, 12 out, MAE at 15, 30 and 60 min, zeros are gaps",
            report_at=("15min", "30min", "1h"),
            licence="none stated: for measurement only",
            cite=cite,
        ),
    )
