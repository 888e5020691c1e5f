"""The demo's street: exact labels, thin things, a lens that bends both, a drive that moves."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.demo.street.camera import Camera
from training.demo.street.canvas import Canvas
from training.demo.street.drive import Drive, snapshot
from training.demo.street.labels import PERSON, POLE, SIGN, STREET_CLASSES
from training.demo.street.looks import CAMERA, SIMULATOR, Sensor
from training.demo.street.perspective import Perspective, RoadShape, View
from training.demo.street.posts import paint_lamp
from training.demo.street.scene import Frame
from training.demo.street.world import Car, Lamp, Person

SMALL = (256, 128)
LENS = Sensor(k1=-0.16, k2=0.03)


@pytest.fixture(scope='module')
def large_frames() -> list[Frame]:
    return [snapshot(SIMULATOR, 0, index) for index in range(4)]


def widths(mask: np.ndarray) -> list[int]:
    """Lengths of the unbroken runs of True in the rows of a mask."""
    return [sum(1 for _ in run) for row in mask for value, run in groupby(row.tolist()) if value]


@pytest.mark.parametrize('look', [SIMULATOR, CAMERA], ids=lambda look: look.name)
def test_the_same_seed_gives_the_same_picture(look):
    first, second = snapshot(look, 3, 1, SMALL), snapshot(look, 3, 1, SMALL)
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.labels, second.labels)


def test_another_index_gives_another_street():
    first, second = snapshot(SIMULATOR, 3, 1, SMALL), snapshot(SIMULATOR, 3, 2, SMALL)
    assert (first.labels != second.labels).mean() > 0.1


def test_images_and_labels_have_the_asked_size_and_type():
    image, labels = snapshot(CAMERA, 0, 0, SMALL)
    assert (image.shape, image.dtype) == ((128, 256, 3), np.uint8)
    assert (labels.shape, labels.dtype) == ((128, 256), np.uint8)


def test_every_class_occurs_and_no_other(large_frames):
    found = np.unique(np.stack([frame.labels for frame in large_frames]))
    assert found.tolist() == list(range(len(STREET_CLASSES)))


def test_poles_are_mostly_a_few_pixels_wide(large_frames):
    runs = [w for frame in large_frames for w in widths(frame.labels == POLE)]
    assert np.median(runs) <= 5


@pytest.mark.parametrize(
    ('label', 'low', 'high'), [(SIGN, 5, 13), (PERSON, 3, 9)], ids=['sign', 'person']
)
def test_distant_small_things_are_there(large_frames, label, low, high):
    found = 0
    for frame in large_frames:
        mask = (frame.labels == label).astype(np.uint8)
        boxes = cv2.connectedComponentsWithStats(mask)[2][1:]
        found += int(((boxes[:, 2] >= low) & (boxes[:, 2] <= high)).sum())
    assert found >= len(large_frames)


def test_half_resolution_loses_a_far_post_that_full_resolution_has():
    view = View.of_size(1024, 512)
    perspective = Perspective(view, RoadShape(), 0.0, 0.0)
    canvas = Canvas(1024, 512, (200, 200, 200), 1e6)
    paint_lamp(canvas, perspective, SIMULATOR, Lamp(60.0, 8.0, 7.0, 0.0))
    row = canvas.labels[150] == POLE
    full = (canvas.labels == POLE).astype(np.float32)
    context = cv2.resize(full, (128, 64), interpolation=cv2.INTER_AREA)  # the context's logits
    assert 1 <= row.sum() <= 3
    assert (context >= 0.5).sum() == 0


@given(left=st.floats(5, 20), width=st.floats(1, 12))
@settings(max_examples=40, deadline=None)
def test_an_outline_covers_its_width_in_image_and_labels(left, width):
    canvas = Canvas(48, 16, (0, 0, 0), 1e9)
    x = np.array([left, left + width, left + width, left])
    canvas.polygon(np.stack([x, [3.0, 3.0, 12.0, 12.0]], -1), (255, 255, 255), 0.0, 1)
    assert abs(int((canvas.labels[8] == 1).sum()) - width) <= 1.1
    assert abs(float(canvas.image[8, :, 0].sum()) / 255 - width) <= 1.1


def test_labels_lie_where_the_outline_is_painted():
    canvas = Canvas(80, 60, (0, 0, 0), 1e9)
    canvas.polygon(np.array([[10.3, 8.2], [66.7, 20.1], [40.4, 52.6]]), (255, 255, 255), 0.0, 1)
    painted, labelled = canvas.image[..., 0] > 127, canvas.labels == 1
    assert (painted & labelled).sum() / (painted | labelled).sum() > 0.93


def test_haze_hides_far_colours():
    canvas = Canvas(8, 8, (200, 210, 220), 50.0)
    assert np.allclose(canvas.tone((0, 0, 0), 1000.0), (200, 210, 220), atol=1)
    assert np.allclose(canvas.tone((9, 8, 7), 0.0), (9, 8, 7))


def test_the_lens_bends_image_and_labels_alike():
    camera = Camera(LENS, *SMALL)
    view = camera.scene_view
    y, x = np.mgrid[: view.height, : view.width]
    labels = ((x // 12 + y // 12) % 9).astype(np.uint8)
    image = np.repeat(labels[..., None] * 25, 3, axis=2)
    bent = camera.capture(Frame(image, labels), np.random.default_rng(0))
    around = np.ones((3, 3), np.uint8)
    inside = cv2.erode(bent.labels, around) == cv2.dilate(bent.labels, around)
    inside[[0, -1]] = inside[:, [0, -1]] = False
    assert inside.mean() > 0.6
    assert np.array_equal(bent.image[inside][:, 0], bent.labels[inside] * 25)


def test_the_lens_is_the_one_that_camera_info_describes():
    camera = Camera(LENS, *SMALL)
    view, point = camera.scene_view, np.array([[0.5, -0.15, 1.0]])
    image = np.zeros((view.height, view.width, 3), np.uint8)
    place = np.array([view.cx, view.cy]) + view.focal * point[0, :2]
    cv2.circle(image, np.rint(place).astype(int).tolist(), 3, (255, 255, 255), -1)
    bent = camera.capture(Frame(image, image[..., 0]), np.random.default_rng(0)).image[..., 0]
    expected = cv2.projectPoints(
        point, np.zeros(3), np.zeros(3), camera.matrix, camera.distortion
    )[0].reshape(2)
    ys, xs = np.nonzero(bent > 127)
    assert np.abs([xs.mean(), ys.mean()] - expected).max() < 1.0


def test_the_lens_shows_no_empty_corners():
    camera = Camera(LENS, *SMALL)
    white = np.full((camera.scene_view.height, camera.scene_view.width, 3), 255, np.uint8)
    assert camera.capture(Frame(white, white[..., 0]), np.random.default_rng(0)).image.min() == 255


def test_simulator_and_camera_look_different():
    simulator = np.mean([snapshot(SIMULATOR, 0, i, SMALL).image.mean((0, 1)) for i in range(4)], 0)
    camera = np.mean([snapshot(CAMERA, 0, i, SMALL).image.mean((0, 1)) for i in range(4)], 0)
    assert (camera[0] - camera[2]) - (simulator[0] - simulator[2]) > 15  # a warmer picture


def test_a_drive_moves_forward_and_keeps_its_lane():
    drive = Drive(CAMERA, 4, 20, size=SMALL)
    places = [drive.place(index) for index in range(20)]
    steps = np.diff([s for s, _ in places])
    assert np.allclose(steps, drive.speed / drive.rate_hz)
    assert all(abs(d - drive.world.lane / 2) < 0.5 for _, d in places)


def test_neighbouring_frames_are_more_alike_than_distant_ones():
    drive = Drive(replace(CAMERA, sensor=Sensor()), 4, 40, size=SMALL)
    first, second, last = (drive.frame(index).labels for index in (0, 1, 39))
    assert (first == second).mean() > (first == last).mean() + 0.05


def test_what_the_camera_drives_towards_grows():
    perspective = [Perspective(View.of_size(*SMALL), RoadShape(), s, 1.6) for s in (0.0, 8.0)]
    heights = [np.ptp(p.points(30.0, 6.0, [0.0, 2.0])[:, 1]) for p in perspective]
    assert heights[1] > heights[0] * 1.3


def test_cars_drive_and_persons_cross():
    assert Car(10.0, 1.6, 9.0, True, 'hatch', 0).place(2.0) == 28.0
    assert Person(5.0, -4.0, 0.0, 1.25, 1.7, 0, reach=6.0).place(2.0) == (5.0, -1.5)
    assert Person(5.0, -4.0, 0.0, 1.25, 1.7, 0, reach=6.0).place(60.0) == (5.0, 6.0)


def test_two_drives_are_two_streets():
    first, second = (Drive(CAMERA, seed, 5, size=SMALL) for seed in (1, 2))
    assert first.world.trees != second.world.trees


def test_a_frame_outside_the_drive_is_an_error():
    with pytest.raises(ValueError, match='frame 5 is not in this drive of 5'):
        Drive(CAMERA, 1, 5, size=SMALL).frame(5)


def test_a_drive_without_frames_is_an_error():
    with pytest.raises(ValueError, match='0 frames'):
        Drive(CAMERA, 1, 0)
