"""Structures: which storey of a frame has lost stiffness, told when the ground shakes it."""

from functools import partial

from nervure.core.declaration import Rule, Signal, Solution, Source
from nervure.core.problem import Classify, Wake

_at = partial(Signal, unit="mm/s2", every="20ms")  # the set does not state its step; 20 ms is usual for such motions
_CHANNELS = ("ground", "storey_1", "storey_2", "storey_3")

solution = Solution(
    name="structure", title="Loss of stiffness in a three-storey concrete frame", thing="frame", tier="bronze",
    signals=(
        _at(name="ground", phenomenon="Acceleration of the ground"),
        _at(name="storey_1", phenomenon="Acceleration of the first storey"),
        _at(name="storey_2", phenomenon="Acceleration of the second storey"),
        _at(name="storey_3", phenomenon="Acceleration of the third storey"),
    ),
    problems=(
        Classify(
            what="state", of=_CHANNELS, window="20480ms", wake=Wake(of=("ground",), above=40),
            classes=("whole", *(f"storey {one} at {left}%" for one in (1, 2, 3) for left in (90, 80))),
            model="vibration_cnn",
        ),
    ),
    rules=(
        Rule(name="damage", when="share < 0.5", severity="critical", problem="class-state", of=("whole",),
             say="{thing} has probably lost stiffness: it is as it was with a probability of {value}, since {since}."),
    ),
    data=Source(
        folder="shm/peer_rc_frame", layout="runs", prepare="frames", files=("rc_frame_dec4.npz",),
        protocol="a simulated frame under 100 ground motions, noise 20 dB below each channel; split by ground motion",
        licence="none stated; PEER is to be acknowledged",
        cite="PEER STAR-Net, DIANA FEA of a reinforced concrete frame, github.com/lcl940610/PEER_STAR_NET",
    ),
)
