"""ClassMix: whose classes are chosen, and what is pasted."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from training.methods.class_mix import draw_classes, mix, mix_mask


def test_draw_equals_published_choice(ops: dict[str, np.ndarray], figures: dict[str, Any]) -> None:
    labels = torch.from_numpy(ops['cm_labels'][:, 0])
    # The published code draws from numpy's old global generator.
    chosen = draw_classes(labels, [np.random.RandomState(7)] * len(labels))  # type: ignore[list-item]
    assert [list(classes) for classes in chosen] == figures['cm_chosen_classes_seed7']


def test_mixture_equals_published(ops: dict[str, np.ndarray], figures: dict[str, Any]) -> None:
    labels = torch.from_numpy(ops['cm_labels'][:, 0])
    mask = mix_mask(labels, figures['cm_chosen_classes_seed7'])
    assert np.array_equal(mask.numpy(), ops['cm_masks_seed7'][:, 0].astype(bool))
    images = mix(mask, torch.from_numpy(ops['cm_src']), torch.from_numpy(ops['cm_trg']))
    assert np.array_equal(images.numpy(), ops['cm_mixed_img'])
    mixed = mix(mask, labels, torch.from_numpy(ops['cm_pseudo']))
    assert np.array_equal(mixed.numpy(), ops['cm_mixed_lbl'][:, 0])


def test_scope_image_draws_only_classes_of_the_image() -> None:
    labels = torch.tensor([[[0, 1, 2]], [[7, 8, 255]]], dtype=torch.uint8)
    first, second = draw_classes(labels, [np.random.default_rng(0)] * len(labels), 'image')
    assert len(first) == len(second) == 2
    assert set(first) <= {0, 1, 2}
    assert set(second) <= {7, 8, 255}


def test_no_chosen_class_leaves_the_target() -> None:
    labels = torch.zeros(2, 4, 4, dtype=torch.uint8)
    assert not mix_mask(labels, ((), ())).any()
