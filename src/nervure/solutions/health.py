"""Health: falls of people who wear a sensor at the waist, told from what they do every day."""

from functools import partial

from nervure.core.declaration import Rule, Signal, Solution, Source
from nervure.core.problem import Classify, Wake

_axis = partial(Signal, unit="[g]", every="40ms", low=-16, high=16)
_AXES = ("ax", "ay", "az")

solution = Solution(
    name="health", title="Falls of people who wear an accelerometer", thing="wearer", tier="silver",
    signals=(
        _axis(name="ax", phenomenon="Acceleration to the right"),
        _axis(name="ay", phenomenon="Acceleration upwards"),
        _axis(name="az", phenomenon="Acceleration forwards"),
    ),
    problems=(
        Classify(
            what="motion", of=_AXES, window="3s", wake=Wake(of=_AXES, above=1.6),
            classes=("daily", "fall"), model="fall_cnn",
        ),
    ),
    rules=(
        Rule(name="fall", when="share > 0.5", severity="critical", problem="class-motion", of=("fall",),
             say="Likely fall of {thing} at {since} (certainty {value}): ask whether help is needed."),
    ),
    data=Source(
        folder="health/sisfall", layout="runs", prepare="falls", files=("sisfall_25hz.parquet", "index.csv"),
        protocol="SisFall, folds person by person; every recording is streamed, and rung for if any window rings",
        licence="none stated in the copy", cite="Sucerquia et al., Sensors 17(1) (2017) 198, doi 10.3390/s17010198",
    ),
)
