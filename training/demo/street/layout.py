"""Lays out a street at random: where houses, trees, posts, cars and persons are."""

from __future__ import annotations

import numpy as np

from training.demo.street.looks import Look, Mix
from training.demo.street.perspective import RoadShape
from training.demo.street.world import (
    SIGN_KINDS,
    Bollard,
    Car,
    Lamp,
    Lot,
    Person,
    Sign,
    Tree,
    World,
)


def build_world(
    look: Look,
    rng: np.random.Generator,
    start: float,
    end: float,
    own_speed: float = 0.0,
    seconds: float = 0.0,
) -> World:
    """Lay out a street.

    Args:
        look: whose object mix is used.
        rng: source of every choice.
        start: where the furnished stretch of road begins [m].
        end: where it ends [m].
        own_speed: how fast the camera will drive [m/s]; nobody ahead is slower than that.
        seconds: how long the drive takes; oncoming cars are spread for that long.

    Raises:
        ValueError: the stretch is shorter than 50 m.
    """
    if end - start < 50:
        raise ValueError(f'a street from {start} to {end} m is too short: make it 50 m or longer')
    waves = tuple(
        (rng.uniform(0.4, 1.0) * length / 55, length, rng.uniform(0, 2 * np.pi))
        for length in (rng.uniform(150, 220), rng.uniform(300, 420))
    )
    lane = rng.uniform(3.0, 3.4)
    half_road = lane + rng.uniform(1.9, 2.4)
    world = World(
        look,
        RoadShape(waves),
        start,
        end,
        lane,
        half_road,
        half_road + rng.uniform(2.8, 4.2),
        int(rng.integers(1 << 30)),
    )
    world.crossings = list(np.arange(start + rng.uniform(15, 60), end, rng.uniform(70, 110)))
    for side in (-1, 1):
        _add_lots(world, rng, side)
        _add_posts(world, rng, side)
        _add_parked_cars(world, rng, side)
    _add_street_trees(world, rng)
    _add_traffic(world, rng, own_speed, seconds)
    _add_persons(world, rng, own_speed)
    return world


def _steps(
    rng: np.random.Generator, start: float, end: float, gap: tuple[float, float]
) -> list[float]:
    """Places from start to end with random gaps."""
    places, s = [], start + rng.uniform(0, gap[1])
    while s < end:
        places.append(s)
        s += rng.uniform(*gap)
    return places


def _add_lots(world: World, rng: np.random.Generator, side: int) -> None:
    mix = world.look.mix
    weights = np.array([mix.building, mix.park, mix.side_street])
    s, last = world.start, ''
    while s < world.end:
        kind = str(rng.choice(['building', 'park', 'side_street'], p=weights / weights.sum()))
        if kind == last == 'side_street':
            continue
        width = 7.5 if kind == 'side_street' else rng.uniform(*mix.lot_m)
        pitched = rng.uniform() < world.look.surface.pitched_roofs
        lot = Lot(
            kind,
            side,
            s,
            s + width,
            int(rng.integers(1 << 16)),
            float(rng.choice([0.0, 0.0, 0.0, 1.2])),
            float(rng.uniform(2.0, 3.4)) * pitched,
            bool(rng.uniform() < mix.fence),
        )
        world.lots.append(lot)
        if kind != 'side_street' and rng.uniform() < mix.bollard_runs:
            d = side * (world.half_road + 0.3)
            world.posts += [Bollard(float(at), d) for at in np.arange(s, s + width, 1.8)]
        if kind == 'park':
            _add_park_trees(world, rng, lot)
        s, last = s + width + (rng.uniform(0, 2.5) if rng.uniform() < 0.25 else 0.0), kind


def _add_park_trees(world: World, rng: np.random.Generator, lot: Lot) -> None:
    for _ in range(int(rng.integers(3, 7))):
        world.trees.append(
            Tree(
                rng.uniform(lot.start + 1, lot.end - 1),
                lot.side * (world.line + rng.uniform(3, 18)),
                rng.uniform(5, 11),
                int(rng.integers(1 << 16)),
                bool(rng.integers(2)),
            )
        )


def _add_street_trees(world: World, rng: np.random.Generator) -> None:
    for side in (-1, 1):
        for s in _steps(rng, world.start, world.end, world.look.mix.tree_gap_m):
            if any(abs(s - c - 1.5) < 4 for c in world.crossings):
                continue
            world.trees.append(
                Tree(
                    s,
                    side * (world.half_road + 0.8),
                    rng.uniform(4.5, 7.5),
                    int(rng.integers(1 << 16)),
                    bool(rng.integers(2)),
                )
            )


def _add_posts(world: World, rng: np.random.Generator, side: int) -> None:
    mix = world.look.mix
    for s in _steps(rng, world.start, world.end, mix.lamp_gap_m):
        world.posts.append(
            Lamp(
                s,
                side * (world.half_road + 0.45),
                rng.uniform(6.0, 8.5),
                float(rng.choice([0.0, 1.4, 2.0])),
            )
        )
    for s in _steps(rng, world.start, world.end, mix.sign_gap_m):
        world.posts.append(
            Sign(
                s,
                side * (world.half_road + rng.uniform(0.45, 0.8)),
                rng.uniform(2.2, 3.0),
                rng.uniform(0.62, 0.85),
                str(rng.choice(SIGN_KINDS)),
            )
        )


def _car_kind(rng: np.random.Generator, mix: Mix) -> str:
    if rng.uniform() < mix.vans:
        return 'van'
    return str(rng.choice(['hatch', 'sedan', 'suv']))


def _add_parked_cars(world: World, rng: np.random.Generator, side: int) -> None:
    mix = world.look.mix
    for s in np.arange(world.start, world.end, 6.0):
        blocked = any(-5 < s - c < 8 for c in world.crossings)
        if rng.uniform() < mix.parked and not blocked:
            world.cars.append(
                Car(
                    float(s + rng.uniform(-0.4, 0.4)),
                    side * (world.half_road - 1.05 + rng.uniform(-0.12, 0.12)),
                    0.0,
                    bool((side > 0) ^ (rng.uniform() < 0.2)),
                    _car_kind(rng, mix),
                    int(rng.integers(1 << 16)),
                )
            )


def _add_traffic(world: World, rng: np.random.Generator, own_speed: float, seconds: float) -> None:
    mix, middle = world.look.mix, world.lane / 2
    ahead = [
        s
        for s in _steps(rng, world.start, world.start + 170, mix.lead_gap_m)
        if s > world.start + 26
    ]
    for s in ahead:
        world.cars.append(
            Car(
                s,
                middle + rng.uniform(-0.15, 0.15),
                own_speed * rng.uniform(1.0, 1.12),
                True,
                _car_kind(rng, mix),
                int(rng.integers(1 << 16)),
            )
        )
    speed = 9.0
    for s in _steps(rng, world.start + 8, world.end + speed * seconds, mix.oncoming_gap_m):
        world.cars.append(
            Car(
                s,
                -middle + rng.uniform(-0.15, 0.15),
                -speed,
                False,
                _car_kind(rng, mix),
                int(rng.integers(1 << 16)),
            )
        )


def _add_persons(world: World, rng: np.random.Generator, own_speed: float) -> None:
    mix = world.look.mix
    count = rng.poisson(mix.persons_per_100m * (world.end - world.start) / 100)
    for _ in range(int(count)):
        height = float(np.clip(rng.normal(1.72, 0.1), 1.2, 1.95))
        seed = int(rng.integers(1 << 30))
        if rng.uniform() < mix.crossing and world.crossings:
            world.persons.append(_crossing_person(world, rng, own_speed, height, seed))
            continue
        d = rng.uniform(world.half_road + 0.5, world.line - 0.4)
        pace = float(rng.choice([-1.3, -1.1, 0.0, 1.1, 1.3]))
        world.persons.append(
            Person(
                rng.uniform(world.start, world.end),
                float(d * rng.choice([-1, 1])),
                pace,
                0.0,
                height,
                seed,
            )
        )


def _crossing_person(
    world: World, rng: np.random.Generator, own_speed: float, height: float, seed: int
) -> Person:
    """Someone on a zebra crossing, who has left the road when the driving camera arrives."""
    s = float(rng.choice(world.crossings) + rng.uniform(0.4, 3.0))
    way, reach = float(rng.choice([-1.0, 1.0])), world.half_road + 1.6
    if own_speed == 0:
        d = rng.uniform(-1, 1) * world.half_road
    else:
        arrival = (s - world.start) / own_speed - 2.0
        d = way * (world.half_road + rng.uniform(0.0, 6.0) - 1.25 * arrival)
    return Person(s, float(d), 0.0, 1.25 * way, height, seed, reach)
