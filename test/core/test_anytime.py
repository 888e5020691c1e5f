"""Mode `anytime`: context first, windows by score, limits, seams."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_network import CLASSES, TINY, tiny_network

from hrda_core.anytime import Anytime, Refinement
from hrda_core.fitted_plan import fit_plan
from hrda_core.hrda import HRDA, ContextPrediction
from hrda_core.inference import InferenceSettings
from hrda_core.segmenter import Segmenter
from hrda_core.tuning import TunedWindows


@pytest.fixture(scope='module')
def model() -> HRDA:
    return tiny_network()


def picture(height: int = 128, width: int = 192) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def segment(model: HRDA, image: np.ndarray, **limits):
    return Segmenter(model, InferenceSettings('cpu', mode='anytime', **limits)).segment(image)


class Flat:
    """An engine whose context says class 0, and whose detail says class 1."""

    def __init__(self, attention: float = 1.0) -> None:
        self.attention, self.batches = attention, []

    def context(self, images):
        logits = torch.zeros(1, 3, images.shape[-2] // 4, images.shape[-1] // 4)
        logits[:, 0] = 4
        return ContextPrediction(logits, torch.full_like(logits, self.attention), [])

    def detail(self, windows):
        self.batches.append(len(windows))
        logits = torch.zeros(len(windows), 3, windows.shape[-2] // 4, windows.shape[-1] // 4)
        logits[:, 1] = 4
        return logits


def refine(model: HRDA, engine: Flat, **options) -> Refinement:
    plan = fit_plan(128, 192, TINY, 4, window_size=64, **options)
    return Refinement(engine, model, torch.zeros(1, 3, plan.height, plan.width), plan)


def test_without_limits_all_windows_are_computed(model):
    result = segment(model, picture())
    assert (result.windows_computed, result.windows_planned) == (6, 6)
    assert result.labels.shape == (128, 192)


def test_whole_context_with_all_windows_is_the_published_fusion(model):
    """Side by side, windows that need no overlap: mode `whole` of the published plan."""
    same = replace(TINY, mode='whole', detail_overlap=False)
    exact = HRDA(same, CLASSES).eval()
    exact.load_state_dict(model.state_dict())
    expected = Segmenter(exact, InferenceSettings('cpu')).segment(picture())
    np.testing.assert_array_equal(segment(model, picture()).labels, expected.labels)


def test_no_budget_is_the_context_alone(model):
    result = segment(model, picture(), budget=0)
    assert result.windows_computed == 0
    explained = Segmenter(model, InferenceSettings('cpu', mode='anytime', budget=0))
    np.testing.assert_array_equal(explained.explain(picture()).context, result.labels)
    assert explained.explain(picture()).attention.max() == 0


@pytest.mark.parametrize('budget', [1, 4, 100])
def test_a_budget_is_kept(model, budget):
    assert segment(model, picture(), budget=budget).windows_computed == min(budget, 6)


def test_a_threshold_leaves_weak_windows_out(model):
    counts = [segment(model, picture(), threshold=t).windows_computed for t in (0.0, 0.05, 1.0)]
    assert counts[0] == 6 and counts[2] == 0 and counts == sorted(counts, reverse=True)


def test_more_windows_come_closer_to_all_of_them(model):
    everything = segment(model, picture()).labels
    flips = [(segment(model, picture(), budget=k).labels != everything).mean() for k in range(7)]
    assert flips[6] == 0 and flips[0] > flips[3] > 0


@pytest.mark.parametrize('size', [(100, 150), (64, 64), (131, 90)])
def test_any_size_gives_labels_of_that_size(model, size):
    assert segment(model, picture(*size), budget=1).labels.shape == size


def test_a_passed_deadline_leaves_the_context(model):
    result = segment(model, picture(), deadline_ms=1e-3)
    assert result.windows_computed == 0


def test_a_generous_deadline_computes_all(model):
    assert segment(model, picture(), deadline_ms=1e6).windows_computed == 6


def test_limits_change_between_images(model):
    segmenter = Segmenter(model, InferenceSettings('cpu', mode='anytime'))
    everything = segmenter.segment(picture())
    segmenter.set_limits(threshold=None, budget=1, deadline_ms=None)
    assert segmenter.segment(picture()).windows_computed == 1
    assert 'at most 1 windows' in segmenter.description
    segmenter.set_limits(threshold=None, budget=None, deadline_ms=None)
    again = segmenter.segment(picture())
    assert again.windows_computed == everything.windows_computed
    assert np.array_equal(again.labels, everything.labels)


def test_a_refused_limit_leaves_the_old_ones(model):
    segmenter = Segmenter(model, InferenceSettings('cpu', mode='anytime', budget=1))
    with pytest.raises(ValueError, match='deadline_ms -1 must be above 0'):
        segmenter.set_limits(threshold=None, budget=None, deadline_ms=-1)
    assert segmenter.segment(picture()).windows_computed == 1


def test_limits_of_mode_exact_change_nothing(model):
    segmenter = Segmenter(model, InferenceSettings('cpu'))
    before = segmenter.segment(picture())
    segmenter.set_limits(threshold=None, budget=0, deadline_ms=0.001)
    assert np.array_equal(segmenter.segment(picture()).labels, before.labels)


def test_warm_up_measures_what_windows_cost(model):
    segmenter = Segmenter(model, InferenceSettings('cpu', mode='anytime', deadline_ms=1e6))
    assert segmenter.warm_up(128, 192) > 0
    assert segmenter.segment(picture()).windows_computed == 6


def test_the_slow_end_of_the_first_image_of_a_warm_up_counts_for_none(model, monkeypatch):
    slow_first = iter([10.0])

    def note_tail(self, plan, milliseconds):
        note(self, plan, milliseconds + 1e3 * next(slow_first, 0.0))

    note = Anytime.note_tail
    monkeypatch.setattr(Anytime, 'note_tail', note_tail)
    settings = InferenceSettings('cpu', mode='anytime', deadline_ms=8e3)
    segmenter = Segmenter(model, settings)
    segmenter.warm_up(128, 192)
    assert next(slow_first, None) is None
    assert segmenter.segment(picture()).windows_computed == 6


def test_cameras_age_on_their_own(model):
    settings = InferenceSettings('cpu', mode='anytime', budget=1, ageing=100.0)
    segmenter = Segmenter(model, settings)
    first = segmenter.segment(picture(), stream='front').labels
    rear = segmenter.segment(picture(), stream='rear').labels
    np.testing.assert_array_equal(first, rear)
    assert (segmenter.segment(picture(), stream='front').labels != first).any()


def test_detail_is_taken_where_windows_are(model):
    image = refine(model, Flat())
    image.add([0], image.compute([0]))
    labels = image.prediction().fused.argmax(dim=1)[0]
    assert labels[:10, :10].eq(1).all() and labels[:, 16:].eq(0).all()


def test_detail_fades_in_beside_a_gap(model):
    """Context says class 0, detail class 1: from one to the next in steps, not at once."""
    image = refine(model, Flat())
    image.add([0], image.compute([0]))
    row = image.prediction().fused[0, 1, 4, :17]
    steps = row[:-1] - row[1:]
    assert row[0] == 4 and row[-1] == 0
    assert steps.min() >= 0 and steps.max() <= 1


@pytest.mark.parametrize('overlap', [0, 16])
def test_windows_side_by_side_show_no_seam(model, overlap):
    image = refine(model, Flat(), overlap=overlap)
    everything = range(len(image.plan.windows))
    image.add(everything, image.compute(everything))
    torch.testing.assert_close(image.prediction().fused[0, 1], torch.full((32, 48), 4.0))


def test_forgetting_detail_gives_the_context_back(model):
    image = refine(model, Flat())
    image.add([1, 2], image.compute([1, 2]))
    image.clear()
    assert image.prediction().fused[:, 1].max() == 0


def test_fewest_contexts_blend_into_one_map(model):
    plan = fit_plan(192, 320, TINY, 4, contexts='fewest')
    assert len(plan.contexts) > 1
    image = Refinement(Flat(), model, torch.zeros(1, 3, plan.height, plan.width), plan)
    assert image.context.shape == (1, 3, plan.height // 8, plan.width // 8)
    torch.testing.assert_close(image.context[:, 0], torch.full_like(image.context[:, 0], 4.0))


def tuned(model: HRDA, **changes) -> HRDA:
    found = TunedWindows(1.0, 64, 0, 'whole', 'attention_uncertainty', 0.002)
    copy = HRDA(TINY, CLASSES).eval()
    copy.load_state_dict(model.state_dict())
    copy.metadata = {TunedWindows.key: replace(found, **changes).to_json()}
    return copy


def test_the_tuned_threshold_is_used(model):
    assert segment(tuned(model), picture()).windows_computed == 0


def test_a_threshold_that_is_asked_for_wins(model):
    assert segment(tuned(model), picture(), threshold=0.0).windows_computed == 6


@pytest.mark.parametrize('other', [{'window_size': 128}, {'shrink': 0.0}])
def test_a_tuned_threshold_is_for_the_windows_it_was_found_with(model, other):
    assert segment(tuned(model), picture(), **other).windows_computed > 0


def test_checkpoints_tuned_before_shrink_was_noted_are_for_its_default(model):
    older = tuned(model)
    noted = json.loads(older.metadata[TunedWindows.key])
    del noted['shrink']
    older.metadata = {TunedWindows.key: json.dumps(noted)}
    assert segment(older, picture()).windows_computed == 0


def test_metadata_of_no_use_names_the_remedy(model):
    broken = tuned(model)
    broken.metadata = {TunedWindows.key: '{"threshold": 1}'}
    with pytest.raises(ValueError, match='run `hrda tune-windows` again'):
        segment(broken, picture())


def test_an_image_little_larger_than_a_context_gets_labels_of_its_own_size(model):
    side = TINY.context_size
    result = segment(model, picture(side + side // 16, 2 * side))
    assert result.labels.shape == (side + side // 16, 2 * side)
    assert result.windows_planned == segment(model, picture(side, 2 * side)).windows_planned


def test_one_resolution_has_no_windows_to_choose(model):
    flat = HRDA(replace(TINY, attention='none'), CLASSES)
    with pytest.raises(ValueError, match='use mode exact'):
        segment(flat, picture())


@pytest.mark.parametrize(
    ('wrong', 'reason'),
    [
        ({'threshold': 2.0}, 'outside 0..1'),
        ({'budget': -1}, 'context alone'),
        ({'deadline_ms': 0.0}, 'above 0'),
        ({'window_size': 100}, 'multiple of 16'),
        ({'window_overlap': 5}, 'multiple of 8'),
        ({'window_size': 64, 'window_overlap': 40}, 'more than half'),
        ({'window_score': 'magic'}, 'expected attention_uncertainty'),
        ({'shrink': 0.6}, 'outside 0..0.5'),
        ({'ageing': -1.0}, 'below 0'),
        ({'class_weights': {'a': -1.0}}, 'below 0 or infinite'),
        ({'mode': 'fast'}, 'expected exact, anytime'),
    ],
)
def test_settings_outside_their_range_are_refused(wrong, reason):
    with pytest.raises(ValueError, match=reason):
        InferenceSettings(**wrong)


@pytest.mark.parametrize(('deadline_ms', 'warmed'), [(1e6, 1), (None, 0)])
def test_costs_are_measured_before_the_first_image_with_a_deadline(
    model, monkeypatch, deadline_ms, warmed
):
    warm_up, calls = Segmenter.warm_up, []
    monkeypatch.setattr(
        Segmenter, 'warm_up', lambda *args: calls.append(args[1:]) or warm_up(*args)
    )
    settings = InferenceSettings('cpu', mode='anytime', deadline_ms=deadline_ms)
    segmenter = Segmenter(model, settings)
    for _ in range(2):
        assert segmenter.segment(picture()).windows_computed == 6
    assert len(calls) == warmed
