"""Points in a picture: against pinhole arithmetic, at the borders, with distortion."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hrda_ros.cloud_geometry import NEAREST_M, CameraModel, paint, project, transform

HEIGHT, WIDTH, FOCAL = 60, 100, 80.0
MATRIX = np.array([[FOCAL, 0, 49.5], [0, FOCAL, 29.5], [0, 0, 1]])
PINHOLE = CameraModel(HEIGHT, WIDTH, MATRIX, np.zeros(5))
BARREL = CameraModel(HEIGHT, WIDTH, MATRIX, np.array([-0.3, 0.1, 0.001, -0.002, -0.01]))
RATIONAL = CameraModel(
    HEIGHT,
    WIDTH,
    MATRIX,
    np.array([0.2, 0.05, 0.0, 0.0, 0.01, 0.5, 0.1, 0.02]),
    'rational_polynomial',
)
FISHEYE = CameraModel(HEIGHT, WIDTH, MATRIX, np.array([-0.01, 0.02, -0.01, 0.0]), 'equidistant')
MODELS = [PINHOLE, BARREL, RATIONAL, FISHEYE]
coordinates = st.floats(-50, 50)
clouds = arrays(np.float64, st.tuples(st.integers(0, 30), st.just(3)), elements=coordinates)


@given(clouds)
def test_without_distortion_it_is_the_pinhole(points: np.ndarray) -> None:
    pixels, seen = project(points, PINHOLE)
    for (x, y, z), pixel, visible in zip(points, pixels, seen, strict=True):
        if z < NEAREST_M:
            assert not visible
            continue
        column, row = FOCAL * x / z + 49.5, FOCAL * y / z + 29.5
        distance = min(column + 0.5, row + 0.5, WIDTH - 0.5 - column, HEIGHT - 0.5 - row)
        if abs(distance) > 1e-6:  # exactly on the border, rounding decides
            assert visible == (distance > 0)
        if visible:
            assert np.allclose(pixel, (column, row))


@pytest.mark.parametrize('camera', MODELS)
def test_a_pixel_is_where_its_direction_is_seen(camera: CameraModel) -> None:
    rows, columns = np.mgrid[0:HEIGHT:7, 0:WIDTH:7]
    wanted = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float64)
    undistort = cv2.fisheye.undistortPoints if camera.fisheye else cv2.undistortPoints
    directions = undistort(wanted[:, None], MATRIX, camera.distortion).reshape(-1, 2)
    depth = np.linspace(0.5, 40, len(directions))[:, None]
    pixels, seen = project(np.hstack([directions * depth, depth]), camera)
    assert seen.all()
    assert np.abs(pixels - wanted).max() < 0.05


@pytest.mark.parametrize('camera', MODELS)
@given(points=clouds)
def test_depth_along_a_ray_changes_nothing(camera: CameraModel, points: np.ndarray) -> None:
    points = points[points[:, 2] > 1]
    near, far = project(points, camera), project(points * 3, camera)
    assert np.array_equal(near.seen, far.seen)
    assert np.allclose(near.pixels[near.seen], far.pixels[far.seen])


def test_points_beside_a_barrel_lens_do_not_fold_into_the_picture() -> None:
    strong = CameraModel(HEIGHT, WIDTH, MATRIX, np.array([-0.35, 0.0, 0.0, 0.0]))
    beside = np.array([[1.68, 0.0, 1.0], [1.2, 0.1, 1.0]])
    folded, _ = cv2.projectPoints(beside, np.zeros(3), np.zeros(3), MATRIX, strong.distortion)
    assert np.all((folded >= 0) & (folded < WIDTH))
    assert not project(beside, strong).seen.any()
    assert project(np.array([[0.6, 0.1, 1.0]]), strong).seen.all()


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_points_that_are_not_finite_are_unlabelled(value: float) -> None:
    points = np.array([[0, 0, 5.0], [value, 0, 5], [0, value, 5], [0, 0, value]])
    painted = paint(points, np.full((HEIGHT, WIDTH), 3, np.uint8), PINHOLE)
    assert painted.tolist() == [3, 255, 255, 255]


def test_points_get_the_label_of_their_pixel_and_255_elsewhere() -> None:
    labels = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8)
    ray = np.array([(12 - 49.5) / FOCAL, (34 - 29.5) / FOCAL, 1.0])
    behind, outside = -ray, np.array([10.0, 0, 1])
    painted = paint(np.stack([ray * 7, behind, outside]), labels, PINHOLE)
    assert painted.tolist() == [labels[34, 12], 255, 255]


@given(st.floats(-0.49, 0.49), st.floats(-0.49, 0.49))
def test_a_pixel_reaches_half_a_pixel_around_its_centre(dx: float, dy: float) -> None:
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[-1, -1] = 9
    corner = np.array([[(99 + dx - 49.5) / FOCAL, (59 + dy - 29.5) / FOCAL, 1.0]])
    assert paint(corner, labels, PINHOLE).tolist() == [9]


def test_an_empty_cloud_stays_empty() -> None:
    assert paint(np.zeros((0, 3)), np.zeros((HEIGHT, WIDTH), np.uint8), BARREL).shape == (0,)


def test_labels_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match='labels of 3x2 do not fit CameraInfo of 100x60'):
        paint(np.zeros((1, 3)), np.zeros((2, 3), np.uint8), PINHOLE)


quaternions = arrays(np.float64, 4, elements=st.floats(-1, 1)).filter(
    lambda q: np.linalg.norm(q) > 0.1
)


@given(clouds, quaternions, arrays(np.float64, 3, elements=coordinates))
def test_a_transform_is_undone_by_its_inverse(
    points: np.ndarray, rotation: np.ndarray, shift: np.ndarray
) -> None:
    moved = transform(points, rotation, shift)
    back = transform(moved - shift, rotation * [-1, -1, -1, 1], np.zeros(3))
    assert np.allclose(back, points, atol=1e-9)


def test_a_quarter_turn_about_z_takes_x_to_y() -> None:
    turned = transform(
        np.array([[1.0, 0, 0]]), np.array([0, 0, 2**-0.5, 2**-0.5]), np.array([0, 0, 5.0])
    )
    assert np.allclose(turned, [[0, 1, 5]])


def test_no_rotation_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match=r'quaternion \[0.0, 0.0, 0.0, 0.0\] is no rotation'):
        transform(np.zeros((1, 3)), np.zeros(4), np.zeros(3))


@given(clouds)
def test_binning_and_cropping_move_the_picture(points: np.ndarray) -> None:
    part = PINHOLE.cropped(20, 10, 40, 60)
    whole, cut = project(points, PINHOLE), project(points, part)
    assert np.allclose(whole.pixels[cut.seen] - [20, 10], cut.pixels[cut.seen])
    coarse = project(points, PINHOLE.binned(2, 2))
    both = whole.seen & coarse.seen
    assert np.allclose((whole.pixels[both] + 0.5) / 2 - 0.5, coarse.pixels[both])


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'matrix': np.zeros((3, 3))}, 'not calibrated'),
        ({'distortion_model': 'thin_prism'}, "distortion model 'thin_prism' is not known"),
        ({'distortion': np.zeros(3)}, 'plumb_bob has 3 coefficients; expected 0 or 4 or 5'),
        ({'distortion_model': 'equidistant'}, 'equidistant has 5 coefficients; expected 4'),
    ],
)
def test_what_is_no_calibration_is_refused(changes: dict, reason: str) -> None:
    values = {'height': 2, 'width': 2, 'matrix': MATRIX, 'distortion': np.zeros(5), **changes}
    with pytest.raises(ValueError, match=reason):
        CameraModel(**values)
