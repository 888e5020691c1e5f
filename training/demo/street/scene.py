"""One picture of the street: everything painted in order, far things first."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.demo.street.buildings import paint_boundary, paint_building
from training.demo.street.canvas import Canvas
from training.demo.street.ground import paint_ground
from training.demo.street.labels import VEGETATION
from training.demo.street.materials import Materials, make_materials
from training.demo.street.people import paint_person
from training.demo.street.perspective import Perspective, View
from training.demo.street.posts import paint_bollard, paint_lamp, paint_sign
from training.demo.street.vehicles import paint_car
from training.demo.street.world import Bollard, Lamp, Sign, Tree, World

SIGHT_M = 150.0  # objects farther away are left to the backdrop
POST_PAINTERS = {Lamp: paint_lamp, Sign: paint_sign, Bollard: paint_bollard}
Job = tuple[float, Callable[[], None]]  # nearness key, and the painting


class Frame(NamedTuple):
    """A picture of the street: image uint8 (H, W, 3) RGB, labels uint8 (H, W) train ids."""

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def paint_scene(
    world: World, view: View, s: float, d: float, seconds: float = 0.0, pitch_px: float = 0.0
) -> Frame:
    """Paint the street as a camera at (s, d) sees it.

    Args:
        world: the street.
        view: the camera.
        s: where the camera is along the road [m].
        d: where it is across the road, right of the middle line [m].
        seconds: time since the start of the drive; moves what moves.
        pitch_px: how far the horizon sank with the car's nodding [px].
    """
    perspective = Perspective(view, world.road, s, d, pitch_px)
    materials = make_materials(world.look, view)
    canvas = Canvas(view.width, view.height, world.look.palette.haze, world.look.light.haze_m)
    materials.backdrops[world.choice % len(materials.backdrops)].paint(canvas, perspective)
    paint_ground(canvas, perspective, world, materials, seconds)
    behind = _lot_jobs(canvas, perspective, world, materials)
    before = _street_jobs(canvas, perspective, world, materials, seconds)
    for jobs in (behind, before):
        for _, paint in sorted(jobs, key=lambda job: -job[0]):
            paint()
    return Frame(canvas.image, canvas.labels)


def _seen(perspective: Perspective, s: float, near: float = 1.5) -> bool:
    return near < s - perspective.s < SIGHT_M


def _lot_jobs(
    canvas: Canvas, perspective: Perspective, world: World, materials: Materials
) -> list[Job]:
    """What stands behind the sidewalk's outer edge."""
    jobs: list[Job] = []
    for lot in world.lots:
        if not _seen(perspective, lot.end, 2.5):
            continue
        if lot.kind == 'building':
            jobs.append(
                (
                    lot.start,
                    lambda lot=lot: paint_building(canvas, perspective, world, lot, materials),
                )
            )
        elif lot.kind == 'park':
            jobs.append(
                (
                    lot.start,
                    lambda lot=lot: paint_boundary(canvas, perspective, world, lot, materials),
                )
            )
    for tree in world.trees:
        if abs(tree.d) > world.line and _seen(perspective, tree.s):
            jobs.append(
                (tree.s, lambda tree=tree: paint_tree(canvas, perspective, world, tree, materials))
            )
    return jobs


def _street_jobs(
    canvas: Canvas, perspective: Perspective, world: World, materials: Materials, seconds: float
) -> list[Job]:
    """What stands or moves on sidewalk and road."""
    jobs: list[Job] = []
    for tree in world.trees:
        if abs(tree.d) <= world.line and _seen(perspective, tree.s):
            jobs.append(
                (tree.s, lambda tree=tree: paint_tree(canvas, perspective, world, tree, materials))
            )
    for post in world.posts:
        if _seen(perspective, post.s):
            paint = POST_PAINTERS[type(post)]
            jobs.append(
                (
                    post.s,
                    lambda post=post, paint=paint: paint(canvas, perspective, world.look, post),
                )
            )
    for car in world.cars:
        place = car.place(seconds)
        if _seen(perspective, place, 0.3):
            jobs.append(
                (
                    place,
                    lambda car=car, place=place: paint_car(
                        canvas, perspective, world.look, car, place
                    ),
                )
            )
    for person in world.persons:
        place, d = person.place(seconds)
        if _seen(perspective, place):
            jobs.append(
                (
                    place,
                    lambda person=person, place=place, d=d: paint_person(
                        canvas, perspective, world.look, person, place, d, seconds
                    ),
                )
            )
    return jobs


def paint_tree(
    canvas: Canvas, perspective: Perspective, world: World, tree: Tree, materials: Materials
) -> None:
    """Stamp a tree's sprite at its place."""
    sprite = materials.trees[tree.choice % len(materials.trees)]
    foot, scale = perspective.points(tree.s, tree.d, 0.0), perspective.scale(tree.s)
    height = tree.height * scale
    width = height * sprite.width / sprite.height
    light = world.look.light
    gain = light.left_face if tree.d < 0 else light.right_face
    canvas.sprite(
        sprite,
        float(foot[0]) - width / 2,
        float(foot[1]) - height,
        width,
        height,
        tree.s - perspective.s,
        VEGETATION,
        tree.flip,
        gain,
    )
