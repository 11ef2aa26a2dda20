"""Claims of leaks in a network that always has some, from the filter of all that are open.

Each claim is stamped with the last row of the block in which it is made and its place named: nothing
later is looked at.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nervure.learn.detect.leak.joint import Filter, Leak, Tuning
from nervure.learn.detect.leak.scene import Scene
from nervure.learn.detect.leak.watch import Claim

__all__ = ["hunt"]

Floats = NDArray[np.float64]
_TURNS = 4  # events told at once, at most
_HIGHER = 0.25  # by so much of the limit each further one has to gain more
_GROWS = 0.25  # percent a block, for a leak that has grown before
_JUMPS = 8.0  # percent, at most


def hunt(scene: Scene, tuning: Tuning, begin: int) -> list[Claim]:
    """Go through the blocks from ``begin`` on and return the claims, rows counted from the first of all."""
    return _Hunt(scene, tuning, begin - 1).all()


class _Hunt(Filter):
    def __init__(self, scene: Scene, tuning: Tuning, begin: int) -> None:
        super().__init__(scene, tuning, begin)
        self.begin = begin
        self.apart = scene.plant.spots.apart
        self.claims: list[Claim] = []
        self.since: tuple[int, int] | None = None  # block of the first sign, and where its window starts
        self.calm = 0

    def all(self) -> list[Claim]:
        for now in range(self.begin + 1, self.scene.count):
            self.run(now - 1, now)
            self.forget(now)
            self.follow(now)
            if now - self.begin < 3:
                continue
            if self.since is None:
                self._place_again(now)
            self.since = self.since or self._sign(now)
            if self.since is not None and self._tell(now, *self.since):
                self.since = None
        return self.claims

    def _sign(self, now: int) -> tuple[int, int] | None:
        """Return when something changed, if anything gains the limit: this block and the window's start."""
        starts = {
            self.clear(now - one)
            for one in self.tuning.windows
            if now - one >= self.first and (one <= 8 or now % (one // 8) == 0)
        }
        found = [(float(np.abs(self.gains(one, now)[0]).max()), one) for one in sorted(starts) if one < now]
        if not found or max(found)[0] < self.tuning.limit:
            return None
        return now, max(found)[1]

    def _tell(self, now: int, sign: int, window: int) -> bool:
        """Say what happened, and again what is left; return whether that is done, or waits for more rows."""
        late = now - sign >= self.tuning.look
        for turn in range(_TURNS):
            start, gain, size = self._begun(now, sign, window)
            peak = float(np.abs(gain).max())
            if peak < self.tuning.limit * (1 + _HIGHER * turn if turn else 0.9):
                return True
            if -gain.min() > gain.max():
                if not late and peak < 2 * self.tuning.limit:
                    return False
                if not self._fall(start, now, gain, size):
                    return True
                continue
            place, mass = self._likeliest(gain)
            if mass < self.tuning.sure and not late:
                return False
            if not self._rise(start, now, gain, size, place):
                return True
        return True

    def _begun(self, now: int, sign: int, window: int) -> tuple[int, Floats, Floats]:
        """Return from which block on a change explains most, its gains and sizes by place."""
        width = sign - window
        backs = [width, width // 2, width * 3 // 4, width // 4, *((1, 2, 3, 4, 6) if width <= 8 else (4, 16))]
        starts = {min(self.clear(sign - max(one, 1)), now - 1) for one in backs}
        found = {one: self.gains(one, now) for one in sorted(starts)}
        start = max(found, key=lambda one: float(np.abs(found[one][0]).max()))
        return start, *found[start]

    def _likeliest(self, gain: Floats) -> tuple[int, float]:
        """Return the place that most of the likelihood lies near, and how much does."""
        tuning, top = self.tuning, float(gain.max()) ** 2
        share = np.exp((np.maximum(gain, 0) ** 2 - top) / (2 * (tuning.temper + tuning.wrong * top)))
        mass = (self.apart <= tuning.within_m) @ (share / share.sum())
        some = np.flatnonzero(mass >= mass.max() * (1 - 1e-9))
        place = int(some[gain[some].argmax()])
        return place, float(mass[place])

    def _rise(self, start: int, now: int, gain: Floats, size: Floats, place: int) -> bool:
        """Say of a rise what it is; return whether there may be more."""
        own, rise = self._known(start, now, gain, place), float(size[place])
        odd = own is None and not self.tuning.least <= rise <= self.tuning.most
        if own is None and not odd:
            self._open(start, now, place, rise)
            return True
        if now < self.calm:
            return False
        self.calm = now + self.tuning.pause
        odd = odd or rise > self.tuning.most or own is None or gain[own.place] < 0.6 * gain.max()
        self._claim(now, place, rise, "news")
        if odd or own is None:
            self.settle(start, now)
        else:
            own.since, own.walk = min(own.since, start + 1), max(own.walk, _GROWS)
            self.loosen(own, start, min(max(float(size[own.place]), 1.0), _JUMPS))
            self.jolt(start, place, rise, 0.3)
            self.run(start, now)
        self.follow(now)
        return not odd

    def _known(self, start: int, now: int, gain: Floats, place: int) -> Leak | None:
        """Return the open leak whose rise this is, if it is one's."""
        tuning, live = self.tuning, self.open(now)
        slow = now - start > tuning.sharp
        young = {id(one) for one in live if start - one.since < tuning.young}
        alike = max(live, key=lambda one: float(gain[one.place]), default=None)
        if (
            alike is not None
            and gain[alike.place] >= tuning.alike * gain.max()
            and (slow or id(alike) in young)
        ):
            return alike
        near = [one for one in live if self.apart[place, one.place] <= tuning.near_m]
        if near and (slow or any(id(one) in young for one in near)):
            return max(near, key=lambda one: float(gain[one.place]))
        return None

    def _open(self, start: int, now: int, place: int, size: float) -> None:
        """Take a leak for open; one that was taken for repaired too early is the same as before."""
        old = [
            one.place
            for one in self.leaks
            if start - self.tuning.young <= one.until <= now + 1
            and self.apart[place, one.place] <= self.tuning.near_m
        ]
        own = old[-1] if old else place
        about = round(float(np.clip(size, 0.4, self.tuning.most)), 1)
        self.leaks.append(Leak(place=own, since=start + 1, sizes=[(start + 1, about)], walk=self.tuning.walk))
        self.look(start, now)
        self.jolt(start, own, size, self.tuning.jump)
        self.run(start, now)
        self.follow(now)
        self._claim(now, own, size, "news" if old else "leak")

    def _fall(self, start: int, now: int, gain: Floats, size: Floats) -> bool:
        """Say of a fall what it is; return whether there may be more."""
        x, _ = self.past[start]
        live = [one for one in self.open(now) if one.since <= start and self.state_of(one) < len(x)]
        gone = {
            at: self._explained(one, float(x[self.state_of(one)]), gain, size) for at, one in enumerate(live)
        }
        most = max(gone, key=lambda at: gone[at], default=None)
        if most is not None and gone[most] > self.tuning.fallen * float(gain.min()) ** 2:
            leak = live[most]
            leak.until = start + 1
            self.jolt(start, leak.place, float(x[self.state_of(leak)]), 0.3)
            self._claim(now, leak.place, 0.0, "repair")
            self.run(start, now)
            self.follow(now)
            return True
        if now < self.calm:
            return False
        self.calm = now + self.tuning.pause
        least = min(live, key=lambda one: float(gain[one.place]), default=None)
        less = least is not None and gain[least.place] < 0.5 * gain.min()
        if least is not None and less:
            self.loosen(least, start, min(-float(size[least.place]), _JUMPS))
            self.run(start, now)
        else:
            self.settle(start, now)
        self._claim(now, int(gain.argmin()), float(size.min()), "news")
        self.follow(now)
        return less

    def _explained(self, leak: Leak, size: float, gain: Floats, change: Floats) -> float:
        """Return by how much the whole of a leak's end explains a fall: twice the log likelihood."""
        own = float(change[leak.place])
        if size < 0.4 or abs(own) < 1e-6:
            return -np.inf
        sure = (float(gain[leak.place]) / own) ** 2
        return -2 * sure * own * size - sure * size**2

    def _place_again(self, now: int) -> None:
        """Place a young leak anew, by all that was read since; the claim stays as it was made."""
        tuning = self.tuning
        for leak in self.open(now):
            start = leak.since - 1
            lone = start >= self.first and all(at <= leak.since for at, _ in self.jolts)
            if now - start not in tuning.again or not lone:
                continue
            until, leak.until = leak.until, leak.since
            gain, size = self.gains(start, now)
            leak.until = until
            place, _ = self._likeliest(gain)
            top = float(gain[place])
            more = top**2 - max(float(gain[leak.place]), 0.0) ** 2
            if (
                top > tuning.limit
                and size[place] > 0.4
                and more > 2 * tuning.temper + 2 * tuning.wrong * top**2
            ):
                leak.place = place
                leak.sizes = [(leak.since, round(float(np.clip(size[place], 0.4, tuning.most)), 1))]
                self.run(start, now)
                self.follow(now)

    def _claim(self, now: int, place: int, size: float, kind: Literal["leak", "news", "repair"]) -> None:
        row = (now + 1) * self.scene.rows - 1
        self.claims.append(Claim(row, row, place, size, kind))
