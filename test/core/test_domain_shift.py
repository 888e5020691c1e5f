"""The score of domain shift: early features, what a domain is, and who may look."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hrda_core.architecture import Architecture
from hrda_core.classes import CITYSCAPES
from hrda_core.domain_shift import (
    FEWEST_IMAGES,
    DomainShift,
    EarlyFeatures,
    FeatureDomain,
)
from hrda_core.encoders import Encoder
from hrda_core.hrda import HRDA


def network(encoder: str = 'mit_b0') -> HRDA:
    torch.manual_seed(0)
    sizes = {'context_size': 128, 'detail_size': 64}
    return HRDA(Architecture(encoder, 8, 8, 8, **sizes), CITYSCAPES).eval()


def picture(seed: int, height: int = 72, width: int = 128) -> np.ndarray:
    """Coarse blocks of random colours with a little noise."""
    random = np.random.default_rng(seed)
    coarse = random.integers(60, 200, (height // 8, width // 8, 3))
    noise = random.integers(-8, 9, (height, width, 3))
    return np.clip(coarse.repeat(8, 0).repeat(8, 1) + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope='module')
def known() -> HRDA:
    """A network that knows its domain."""
    model = network()
    features = EarlyFeatures(model)
    domain = FeatureDomain.fit([features.statistics(picture(n)) for n in range(30)])
    model.metadata = {FeatureDomain.key: domain.to_json()}
    return model


ENCODERS = ('mit_b0', 'tiny_vit_5m_224', 'resnet50_v1c', 'tf_efficientnet_lite0')


@pytest.mark.parametrize('encoder', ENCODERS)
def test_the_statistics_are_those_of_the_encoders_first_map(encoder):
    model = network(encoder)
    image = picture(1, 128, 256)
    found = EarlyFeatures(model).statistics(image)
    with torch.no_grad():
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None]
        first = model.encoder(model.normalise(pixels))[0][0].flatten(1)
    np.testing.assert_allclose(found[0], first.mean(1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[1], first.std(1).clamp_min(1e-6).log(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('encoder', ENCODERS)
def test_the_rest_of_the_encoder_is_not_kept(encoder):
    model = network(encoder)
    kept = sum(p.numel() for p in EarlyFeatures(model)._body.parameters())
    assert 0 < kept < 0.1 * sum(p.numel() for p in model.encoder.parameters())


def test_the_network_itself_is_left_as_it_is():
    model = network().train()
    keys = list(model.state_dict())
    features = EarlyFeatures(model)
    features.statistics(picture(0))
    assert model.encoder.body.training
    assert list(model.state_dict()) == keys
    assert isinstance(model.encoder, Encoder)
    mine = {tensor.data_ptr() for tensor in model.parameters()}
    assert all(tensor.data_ptr() in mine for tensor in features._body.parameters())


def test_images_of_the_domain_score_about_one_and_others_more(known):
    shift = DomainShift(known)
    own = [shift.look(picture(seed)) for seed in range(100, 120)]
    assert np.median(own) < 1
    assert max(own) < 2
    noise = np.random.default_rng(0).integers(0, 60, (72, 128, 3), np.uint8)
    for other in (picture(100) // 3, picture(100) // 4 + 150, picture(100) // 2 + noise):
        assert shift.look(other) > max(own)


@pytest.mark.parametrize('size', [(16, 16), (17, 400), (400, 17), (64, 65)])
def test_any_size_of_image_has_a_score(known, size):
    assert np.isfinite(DomainShift(known).look(picture(0, 400, 400)[: size[0], : size[1]]))


def test_a_black_image_has_a_score(known):
    assert DomainShift(known).look(np.zeros((48, 64, 3), np.uint8)) > 1.5


def test_a_period_lets_images_pass(known, monkeypatch):
    now = [10.0]
    monkeypatch.setattr('hrda_core.domain_shift.time.monotonic', lambda: now[0])
    shift = DomainShift(known, period_s=1.0)
    first = shift.look(picture(0))
    now[0] = 10.9
    assert shift.look(picture(1)) == first
    now[0] = 11.0
    assert shift.look(picture(1)) != first
    assert shift.latest('rear') is None
    now[0] = 11.5
    assert shift.look(picture(2), 'rear') == shift.latest('rear') != shift.latest()


def test_a_domain_survives_the_metadata(known):
    domain = FeatureDomain.of(known)
    assert domain is not None
    assert domain.images == 30
    assert FeatureDomain.of(known) == domain


def test_a_checkpoint_without_domain_names_the_remedy():
    assert FeatureDomain.of(network()) is None
    with pytest.raises(ValueError, match='hrda domain-shift --store CHECKPOINT IMAGES'):
        DomainShift(network())


@pytest.mark.parametrize('text', ['', '{}', '[]', '{"mean": [1]}'])
def test_a_domain_that_cannot_be_understood_is_refused(text):
    model = network()
    model.metadata = {FeatureDomain.key: text}
    with pytest.raises(ValueError, match="'domain' of the checkpoint cannot be used"):
        FeatureDomain.of(model)


def test_a_domain_of_another_encoder_is_refused(known):
    other = network('tiny_vit_5m_224')
    other.metadata = known.metadata
    with pytest.raises(ValueError, match='another encoder'):
        DomainShift(other)


def test_too_few_images_are_no_domain():
    few = [np.zeros((2, 4))] * (FEWEST_IMAGES - 1)
    with pytest.raises(ValueError, match=f'{FEWEST_IMAGES - 1} images are too few'):
        FeatureDomain.fit(few)


def test_images_that_are_all_alike_are_a_domain():
    domain = FeatureDomain.fit([np.ones((2, 4))] * FEWEST_IMAGES)
    assert np.isfinite(domain.distance(np.ones((2, 4))))
    assert domain.distance(np.full((2, 4), 1.5)) > 1
