"""What stands and moves along one street: lots, trees, posts, cars and persons."""

from __future__ import annotations

from dataclasses import dataclass, field

from training.demo.street.looks import Look
from training.demo.street.perspective import RoadShape

SIGN_KINDS = ('limit', 'ban', 'warning', 'duty', 'parking', 'priority', 'stop')


@dataclass(frozen=True)
class Lot:
    """A stretch beside the road. side is -1 (left) or 1 (right)."""

    kind: str  # 'building', 'park' or 'side_street'
    side: int
    start: float  # [m] along the road
    end: float
    choice: int  # which facade, fence or hedge
    setback: float  # from the sidewalk's outer edge [m]
    roof_m: float  # height of the pitched roof, 0 = flat
    fenced: bool


@dataclass(frozen=True)
class Tree:
    """A tree; s and d are the foot of its trunk."""

    s: float
    d: float
    height: float
    choice: int
    flip: bool


@dataclass(frozen=True)
class Lamp:
    """A lamp post whose arm reaches over the road."""

    s: float
    d: float
    height: float
    arm: float  # length [m]; 0 = the lamp sits on the post


@dataclass(frozen=True)
class Bollard:
    """A short post at the curb."""

    s: float
    d: float


@dataclass(frozen=True)
class Sign:
    """A traffic sign on its own post."""

    s: float
    d: float
    height: float  # of the sign's middle [m]
    size: float  # edge or diameter [m]
    kind: str  # one of SIGN_KINDS


@dataclass(frozen=True)
class Car:
    """A car; moving ones have a speed along s. forward: it drives as we do."""

    s: float
    d: float
    speed: float
    forward: bool
    kind: str  # 'hatch', 'sedan', 'suv' or 'van'
    choice: int  # which colour

    def place(self, seconds: float) -> float:
        """Where it is after so many seconds [m]."""
        return self.s + self.speed * seconds


@dataclass(frozen=True)
class Person:
    """A walking or standing person; speeds along and across the road in m/s.

    One who crosses waits and stops reach metres from the middle line.
    """

    s: float
    d: float
    speed: float
    cross_speed: float
    height: float
    seed: int  # clothes and gait
    reach: float = 99.0

    def place(self, seconds: float) -> tuple[float, float]:
        """Where the person is after so many seconds, along and across the road [m]."""
        d = self.d + self.cross_speed * seconds
        return self.s + self.speed * seconds, min(max(d, -self.reach), self.reach)


@dataclass
class World:
    """One street from s = start to s = end, see layout.build_world.

    Attributes:
        lane: width of a lane [m]; the middle line is at d = 0.
        half_road: from the middle line to the curb [m], parking strip included.
        line: from the middle line to the sidewalk's outer edge [m].
        crossings: where zebra crossings begin [m].
        choice: picks the backdrop and the road's wear.
    """

    look: Look
    road: RoadShape
    start: float
    end: float
    lane: float
    half_road: float
    line: float
    choice: int
    crossings: list[float] = field(default_factory=list)
    lots: list[Lot] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)
    posts: list[Lamp | Sign | Bollard] = field(default_factory=list)
    cars: list[Car] = field(default_factory=list)
    persons: list[Person] = field(default_factory=list)
