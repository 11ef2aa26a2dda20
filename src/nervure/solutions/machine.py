"""Machines: how many flights a turbofan has left before it fails, told after each of them."""

from functools import partial

from nervure.core.declaration import Rule, Signal, Solution, Source
from nervure.core.problem import RemainingLife

_of = partial(Signal, every="1h")  # a row is a flight, and no engine flies twice in an hour
_settings = (
    _of(name="altitude", unit="{kft}", low=-2, high=60, phenomenon="Flight altitude in thousands of feet"),
    _of(name="mach", unit="1", low=-0.1, high=1, phenomenon="Mach number"),
    _of(name="throttle", unit="deg", low=0, high=110, phenomenon="Throttle resolver angle"),
)
_sensors = (
    _of(name="t2", unit="[degR]", low=0, phenomenon="Temperature at the fan inlet"),
    _of(name="t24", unit="[degR]", low=0, phenomenon="Temperature at the low-pressure compressor outlet"),
    _of(name="t30", unit="[degR]", low=0, phenomenon="Temperature at the high-pressure compressor outlet"),
    _of(name="t50", unit="[degR]", low=0, phenomenon="Temperature at the low-pressure turbine outlet"),
    _of(name="p2", unit="[psi]", low=0, phenomenon="Pressure at the fan inlet"),
    _of(name="p15", unit="[psi]", low=0, phenomenon="Pressure in the bypass duct"),
    _of(name="p30", unit="[psi]", low=0, phenomenon="Pressure at the high-pressure compressor outlet"),
    _of(name="nf", unit="{rpm}", low=0, phenomenon="Fan speed"),
    _of(name="nc", unit="{rpm}", low=0, phenomenon="Core speed"),
    _of(name="epr", unit="1", low=0, phenomenon="Engine pressure ratio"),
    _of(name="ps30", unit="[psi]", low=0, phenomenon="Static pressure at the high-pressure compressor outlet"),
    _of(name="phi", unit="1", low=0, phenomenon="Fuel flow over static pressure"),
    _of(name="nrf", unit="{rpm}", low=0, phenomenon="Corrected fan speed"),
    _of(name="nrc", unit="{rpm}", low=0, phenomenon="Corrected core speed"),
    _of(name="bpr", unit="1", low=0, phenomenon="Bypass ratio"),
    _of(name="far", unit="1", low=0, phenomenon="Burner fuel-air ratio"),
    _of(name="bleed", unit="1", low=0, phenomenon="Bleed enthalpy"),
    _of(name="nf_dmd", unit="{rpm}", low=0, phenomenon="Demanded fan speed"),
    _of(name="nrf_dmd", unit="{rpm}", low=0, phenomenon="Demanded corrected fan speed"),
    _of(name="w31", unit="[lb_av]/s", low=0, phenomenon="Coolant bleed of the high-pressure turbine"),
    _of(name="w32", unit="[lb_av]/s", low=0, phenomenon="Coolant bleed of the low-pressure turbine"),
)

solution = Solution(
    name="machine", title="Remaining life of turbofan engines", thing="engine", tier="silver",
    signals=(*_settings, *_sensors, _of(name="cycle", unit="{cycle}", low=0, phenomenon="Flights since new")),
    problems=(
        RemainingLife(
            settings=tuple(one.name for one in _settings), of=tuple(one.name for one in _sensors),
            age="cycle", window=120, clip=125, model="rul_tcn",
        ),
    ),
    rules=(
        Rule(name="due", when="life < 30", severity="major", problem="life",
             say="{thing} has about {value} cycles left ({low} to {high}): plan its overhaul."),
        Rule(name="worn", when="life < 10", severity="critical", problem="life",
             say="{thing} has about {value} cycles left ({low} to {high}): take it out of service."),
    ),
    data=Source(
        folder="predictive_maintenance/cmapss", layout="runs", prepare="turbofans",
        files=tuple(f"{kind}FD00{turn}.{end}" for turn in range(1, 5) for kind, end in (("", "parquet"), ("RUL_", "csv"))),
        protocol="C-MAPSS FD001 to FD004: engines as shipped, the last row of each test engine",
        licence="none stated in the copy; a NASA PCoE data set", cite="Saxena et al., Int. Conf. PHM, 2008",
    ),
)
