"""Inference equals the published code, number by number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from official_recipe import GOLDEN, read_shapes, state_dict
from torch import Tensor

from hrda_core.architecture import Architecture
from hrda_core.classes import CITYSCAPES
from hrda_core.heads import resize
from hrda_core.hrda import HRDA, CropPrediction
from hrda_core.mosaic import Mosaic
from hrda_core.published import local_name
from hrda_core.resolutions import attention_of_prediction
from hrda_core.windows import plan_windows

TOLERANCE = {'rtol': 0, 'atol': 1e-4}


def crop_prediction(model: HRDA, image: np.ndarray) -> CropPrediction:
    images = torch.from_numpy(image)
    plan = plan_windows(*image.shape[-2:], model.architecture)
    with torch.no_grad():
        return next(model.predict_crops(images, plan))[1]


def whole_image(model: HRDA, image: np.ndarray, take=lambda crop: crop.fused) -> Tensor:
    plan = plan_windows(*image.shape[-2:], model.architecture)
    mosaic = Mosaic(plan.height, plan.width)
    with torch.no_grad():
        for box, crop in model.predict_crops(torch.from_numpy(image), plan, batch=4):
            mosaic.add(take(crop), box)
    return mosaic.rows(0, plan.height)


@pytest.mark.parametrize('level', range(4))
def test_encoder_maps_on_an_odd_size(student, golden, level):
    with torch.no_grad():
        maps = student.encoder(torch.from_numpy(golden['odd_image']))
    np.testing.assert_allclose(maps[level], golden[f'odd_map{level}'], **TOLERANCE)


def test_attention_before_the_sigmoid(student, golden):
    with torch.no_grad():
        features = student.encoder(student.shrink(torch.from_numpy(golden['crop_image'])))
        logits = student.attention_head(features)
    np.testing.assert_allclose(logits, golden['crop_attention_logits'], **TOLERANCE)


def test_fused_logits_of_a_context_crop(student, golden):
    crop = crop_prediction(student, golden['crop_image'])
    np.testing.assert_allclose(crop.fused, golden['crop_fused'], **TOLERANCE)


def test_weighted_context_of_a_context_crop(student, golden):
    crop = crop_prediction(student, golden['crop_image'])
    weighted = (1 - crop.attention) * crop.context
    np.testing.assert_allclose(weighted, golden['crop_weighted_context'], **TOLERANCE)


def test_pseudo_label_path_gives_full_size_logits(student, golden):
    with torch.no_grad():
        logits = student.predict(torch.from_numpy(golden['crop_image']))
    np.testing.assert_allclose(logits[..., ::8, ::8], golden['crop_logits'], **TOLERANCE)
    np.testing.assert_array_equal(logits.argmax(dim=1), golden['crop_labels'])


def test_teacher_prefix_loads_the_teacher(teacher, golden):
    crop = crop_prediction(teacher, golden['crop_image'])
    np.testing.assert_allclose(crop.fused, golden['crop_teacher_fused'], **TOLERANCE)


def test_slide_mode_with_shared_windows(student, golden):
    logits = whole_image(student, golden['wide_image'])
    np.testing.assert_allclose(logits[..., ::8, ::8], golden['wide_logits'], **TOLERANCE)
    np.testing.assert_array_equal(logits.argmax(dim=1), golden['wide_labels'])


def test_logits_are_rescaled_before_the_decision(student, golden):
    logits = resize(whole_image(student, golden['wide_image']), (300, 460))
    np.testing.assert_array_equal(logits.argmax(dim=1), golden['wide_labels_300x460'])


def test_whole_mode(student, golden):
    student.architecture, before = (
        replace(student.architecture, mode='whole'),
        student.architecture,
    )
    try:
        probability = whole_image(student, golden['whole_image']).softmax(dim=1)
    finally:
        student.architecture = before
    np.testing.assert_allclose(probability[..., ::8, ::8], golden['whole_probability'], atol=1e-5)


def test_attention_of_the_prediction(student, golden):
    shown = whole_image(student, golden['wide_image'], attention_of_prediction)
    np.testing.assert_allclose(shown[..., ::2, ::2], golden['wide_attention'], atol=1e-4)


@pytest.fixture(scope='module')
def big() -> HRDA:
    """MiT-B5 with the real 256-channel heads."""
    shapes = read_shapes(GOLDEN / 'keys_mit_b5.txt', 'model.')
    model = HRDA(Architecture('mit_b5'), CITYSCAPES).eval()
    tensors = state_dict(shapes)
    model.load_state_dict(
        {local_name(key.removeprefix('model.')): tensor for key, tensor in tensors.items()}
    )
    return model


def test_mit_b5_with_real_heads(big):
    with np.load(GOLDEN / 'b5.npz') as file, torch.no_grad():
        features = big.encoder(torch.from_numpy(file['image']))
        np.testing.assert_allclose(features[3], file['map3'], **TOLERANCE)
        np.testing.assert_allclose(big.head(features), file['logits'], **TOLERANCE)
        attention = big.attention_head(features)
        np.testing.assert_allclose(attention, file['attention_logits'], **TOLERANCE)


def test_parameter_count_of_mit_b5(big):
    assert sum(p.numel() for p in big.parameters()) == 85_685_990
