"""Whether the networks can be built, and whether their starting weights fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from hrda_core.classes import ClassSet
from hrda_core.encoder_weights import load_encoder_weights
from training.doctor.findings import Findings
from training.methods import Method, build_method
from training.run.assembly import build_model, start_student
from training.settings.run import TrainSettings


@dataclass(frozen=True)
class Network:
    """The networks of a run, built once.

    Attributes:
        method: with its networks; what could not be loaded has random weights.
        parameters: of the student.
        state_bytes: of a saved state, networks and optimiser.
        student_bytes: of the student alone.
    """

    method: Method
    parameters: int
    state_bytes: int
    student_bytes: int


def inspect_network(
    settings: TrainSettings, classes: ClassSet, findings: Findings
) -> Network | None:
    """Build the networks and load their starting weights; None where they cannot be built."""
    chosen = settings.model
    with findings.kept('model'):
        bare = dataclasses.replace(chosen, pretrained=False, encoder_weights=None)
        model, _ = build_model(dataclasses.replace(settings, model=bare), classes, fresh=True)
        if chosen.encoder_weights is not None:
            with findings.kept('model.encoder_weights', 'name the weights of this very encoder'):
                report = load_encoder_weights(
                    model.encoder, chosen.encoder_weights, chosen.encoder_weights_match
                )
                text = f'{chosen.encoder_weights}: {len(report.matched)} tensors fit'
                findings.note('model.encoder_weights', '. '.join((text, *report.notes)))
        pretrained = chosen.pretrained or chosen.encoder_weights is not None
        method = build_method(settings, model, pretrained_encoder=pretrained)
        if chosen.start_from is not None:
            with findings.kept('model.start_from', 'train or name a checkpoint that fits'):
                findings.note('model.start_from', start_student(model, chosen))
        _report_start(settings, pretrained, findings)
        for text in method.notes:
            findings.note('method', text)
        return _measure(method)
    return None


def _report_start(settings: TrainSettings, pretrained: bool, findings: Findings) -> None:
    chosen = settings.model
    if chosen.pretrained:
        findings.note(
            'model.pretrained',
            f'the first start downloads ImageNet weights of {chosen.encoder}, which needs the '
            'internet once; they were not looked at here',
        )
    elif not pretrained and chosen.start_from is None:
        findings.warning(
            'model',
            f'{chosen.encoder} starts from random weights and learns slowly',
            'set model.pretrained: true, model.encoder_weights or model.start_from',
        )


def _measure(method: Method) -> Network:
    student = method.student
    parameters = sum(p.numel() for p in student.parameters())
    # AdamW keeps two numbers per weight; the few bytes of SGD's single one are no matter.
    moments = 2 * sum(p.numel() * p.element_size() for p in student.parameters())
    student_bytes = tensor_bytes(student.state_dict())
    state_bytes = tensor_bytes(method.state_dict()) + moments
    return Network(method, parameters, state_bytes, student_bytes)


def tensor_bytes(state: Any) -> int:
    """Bytes of all tensors in nested mappings and sequences."""
    if isinstance(state, Tensor):
        return state.numel() * state.element_size()
    if isinstance(state, Mapping):
        return sum(tensor_bytes(value) for value in state.values())
    if isinstance(state, (list, tuple)):
        return sum(tensor_bytes(value) for value in state)
    return 0
