"""Puts a training run together: data, networks, validation and loop, from the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import Dataset

from hrda_core.checkpoints import load_model
from hrda_core.classes import ClassSet, resolve_classes
from hrda_core.encoder_weights import load_encoder_weights
from hrda_core.fast_head import FastDAFormerHead, first_branch
from hrda_core.heads import DAFormerHead
from hrda_core.hrda import HRDA
from hrda_core.inference import InferenceSettings
from hrda_core.runtime import Runtime
from hrda_core.segmenter import Segmenter
from training.data.class_stats import Progress
from training.data.datasets import SourceDataset, TargetDataset
from training.data.labelled_sets import MixedSources, check_apart, labelled_sets, open_labelled
from training.data.loader import make_loader
from training.data.shared_cut import SharedCut
from training.data.validation_frames import ValidationFrames
from training.evaluation.command import evaluate_frames
from training.evaluation.scores import ConfusionMatrix, Scores
from training.evaluation.target_scores import TargetFrames, TargetScores, score_target
from training.methods import Method, build_method
from training.methods.distillation import check_teacher
from training.methods.settings import SelfTrainingSettings
from training.progress import Display
from training.run.folder import RunFolder
from training.run.launch import Workplace
from training.run.loop import Evaluate, TrainingLoop, step_shares
from training.run.processes import ALONE, Processes
from training.run.reporting import Reporter, SilentReporter
from training.settings.run import LoopSettings, ModelSettings, TrainSettings


class Batches:
    """The batches of a run: source frames and target frames, where there are any."""

    def __init__(
        self,
        settings: TrainSettings,
        classes: ClassSet,
        pin: bool,
        display: Display,
        processes: Processes = ALONE,
    ) -> None:
        self._loop, self._pin = settings.loop, pin
        self._shares = step_shares(settings.loop, processes)
        self._cut = settings.model.context_size if settings.crop_size is not None else None
        self._sets: dict[str, SourceDataset | MixedSources | TargetDataset] = {}
        if settings.source is not None:
            self._sets['source'] = _open_source(settings, classes, display)
        if settings.target is not None and settings.method != 'source_only':
            self._sets['target'] = TargetDataset(
                settings.target,
                crop_size=settings.crop_size or settings.model.context_size,
                seed=settings.loop.seed,
                fill=_mean_colour(settings.model),
            )

    def __call__(self, steps: range) -> Iterator[Mapping[str, Any]]:
        """Batches of these steps, in order; one per share of each step."""
        size, workers = self._loop.batch_size, self._loop.workers
        loaders = {
            name: make_loader(
                self._cropped(dataset), steps, size, workers, self._pin, self._shares
            )
            for name, dataset in self._sets.items()
        }
        for parts in zip(*loaders.values(), strict=True):
            yield dict(zip(loaders, parts, strict=True))

    def _cropped(self, dataset: Dataset[dict[str, Any]]) -> Dataset[dict[str, Any]]:
        return dataset if self._cut is None else SharedCut(dataset, self._cut, self._loop.seed)

    def counts(self) -> str:
        """How many frames there are, in words."""
        return ', '.join(
            f'{len(dataset)} {name} frames{_composition(dataset)}'
            for name, dataset in self._sets.items()
        )

    def left_out(self) -> tuple[str, ...]:
        """Sentences about what is labelled and ignored for want of a class."""
        labelled = (d for d in self._sets.values() if not isinstance(d, TargetDataset))
        return tuple(text for dataset in labelled for text in dataset.left_out())

    def padding(self) -> tuple[str, ...]:
        """Sentences about frames that are smaller than the crops."""
        return tuple(text for dataset in self._sets.values() for text in dataset.padding())


def _composition(dataset: SourceDataset | MixedSources | TargetDataset) -> str:
    return f' ({dataset.composition()})' if isinstance(dataset, MixedSources) else ''


@dataclass(frozen=True)
class Parts:
    """What a run needs, checked and ready, before its folder is touched.

    Attributes:
        introduction: sentences about what was chosen and found.
    """

    settings: TrainSettings
    method: Method
    batches: Callable[[range], Iterable[Mapping[str, Any]]]
    evaluate: Evaluate | None
    introduction: tuple[str, ...]
    workplace: Workplace

    def loop(self, folder: RunFolder, display: Display) -> TrainingLoop:
        """The loop that runs in a folder."""
        length = self.settings.loop
        processes = self.workplace.processes
        images = length.batch_size * length.accumulate * processes.count
        kind = Reporter if processes.first else SilentReporter
        reporter = kind(folder, display, length.iterations, images)
        return TrainingLoop(
            self.settings,
            self.method,
            self.batches,
            self.evaluate,
            folder,
            reporter,
            self.workplace,
        )


def assemble(
    settings: TrainSettings, display: Display, workplace: Workplace, *, fresh: bool
) -> Parts:
    """Open the data and build the networks.

    Args:
        settings: what to build.
        display: where the counting of classes is shown.
        workplace: device and processes.
        fresh: whether the encoder's starting weights are wanted; a saved state brings its own.

    Raises:
        ValueError: data, device, classes or weights that cannot be used.
    """
    runtime, processes = workplace.runtime, workplace.processes
    classes = resolve_classes(settings.classes)
    if settings.method == 'distillation':
        check_teacher(settings.distillation, classes)
    check_apart(settings, classes)
    pin = runtime.device.type == 'cuda'
    batches = Batches(settings, classes, pin, display, processes)
    model, notes = build_model(settings, classes, fresh)
    pretrained = settings.model.starts_pretrained
    method = build_method(settings, model, pretrained_encoder=pretrained)
    if fresh and settings.model.start_from is not None:
        notes = (*notes, start_student(model, settings.model))
    evaluate = _evaluation(settings, method, runtime, display)
    weights = sum(p.numel() for p in model.parameters())
    introduction = (
        f'{settings.method} with {settings.model.encoder}, {weights / 1e6:.1f} M weights, '
        f'on {runtime.reason}',
        batches.counts(),
        *batches.left_out(),
        *batches.padding(),
        *step_size(settings.loop, processes),
        *notes,
        *method.notes,
    )
    return Parts(settings, method, batches, evaluate, introduction, workplace)


def step_size(settings: LoopSettings, processes: Processes) -> tuple[str, ...]:
    """How many images a step has, where that is not one batch."""
    total = processes.count * settings.batch_size * settings.accumulate
    if total == settings.batch_size:
        return ()
    return (
        f'{processes.count} processes x {settings.batch_size} images x {settings.accumulate} '
        f'batches = {total} images of each domain per step',
    )


def build_model(
    settings: TrainSettings, classes: ClassSet, fresh: bool
) -> tuple[HRDA, tuple[str, ...]]:
    """The student with its starting weights, and what to tell of them.

    Args:
        settings: network, seed and encoder weights.
        classes: what it tells apart.
        fresh: False leaves the encoder's starting weights out.
    """
    torch.manual_seed(settings.loop.seed)
    chosen = settings.model
    model = HRDA(chosen.architecture(), classes, pretrained=fresh and chosen.pretrained)
    if not fresh or chosen.encoder_weights is None:
        started = chosen.starts_pretrained or chosen.start_from is not None
        return model, () if started else (f'{chosen.encoder} starts from random weights',)
    report = load_encoder_weights(
        model.encoder, chosen.encoder_weights, chosen.encoder_weights_match
    )
    return model, (f'{chosen.encoder_weights}: {len(report.matched)} tensors', *report.notes)


def start_student(student: HRDA, chosen: ModelSettings) -> str:
    """Give the student the weights of the checkpoint `start_from`; returns a note on it.

    Raises:
        ValueError: the checkpoint cannot be used, or holds another network or other classes.
    """
    path = chosen.start_from or ''
    start = load_model(path)
    if start.classes.names != student.classes.names:
        raise ValueError(f'{path}: tells other classes apart: {", ".join(start.classes.names)}')
    if chosen.start_from_match == 'fitting':
        return f'of {path}, trained for {start.step} steps, {_take_fitting(student, start)}'
    try:
        student.load_state_dict(start.state_dict())
    except RuntimeError as error:
        raise ValueError(
            f'{path}: is another network than model.* describes: {start.architecture}; '
            'model.start_from_match: fitting takes what fits'
        ) from error
    return f'the student starts from {path}, trained for {start.step} steps'


def _take_fitting(student: HRDA, start: HRDA) -> str:
    """Take the weights of equal name and shape; returns how many each part has taken."""
    own, given, counts = student.state_dict(), start.state_dict(), []
    if isinstance(student.head, FastDAFormerHead) and isinstance(start.head, DAFormerHead):
        given |= {f'head.{name}': tensor for name, tensor in first_branch(start.head).items()}
    fitting = {n: t for n, t in given.items() if n in own and own[n].shape == t.shape}
    for part, module in student.named_children():
        names = [f'{part}.{name}' for name, _ in module.named_parameters()]
        counts.append(f'{sum(n in fitting for n in names)} of {len(names)} weights of its {part}')
    if not any(name.startswith('encoder.') for name in fitting):
        raise ValueError(
            f'no weight of encoder {student.architecture.encoder} is in the checkpoint '
            f'model.start_from, which holds {start.architecture.encoder}; name one that has it'
        )
    student.load_state_dict(fitting, strict=False)
    return f'the student takes {", ".join(counts)}'


def _open_source(
    settings: TrainSettings, classes: ClassSet, display: Display
) -> SourceDataset | MixedSources:
    return open_labelled(
        labelled_sets(settings),
        classes,
        crop_size=settings.crop_size or settings.model.context_size,
        seed=settings.loop.seed,
        rare=rare_classes(settings),
        progress=_counter(display, 'counting classes'),
        fill=_mean_colour(settings.model),
    )


def _counter(display: Display, title: str) -> Progress:
    def show(done: int, total: int) -> None:
        if done == 1:
            display.begin(title, total)
        display.advance(done)

    return show


def rare_classes(settings: TrainSettings) -> SelfTrainingSettings | None:
    """The settings of rare class sampling, where the method uses it; None = uniform draws."""
    chosen = settings.self_training
    published = settings.method in ('self_training', 'masked_consistency')
    return chosen if published or chosen.source_only_rare_class_sampling else None


def _mean_colour(settings: ModelSettings) -> tuple[int, int, int]:
    red, green, blue = (round(channel) for channel in settings.mean)
    return red, green, blue


def _evaluation(
    settings: TrainSettings, method: Method, runtime: Runtime, display: Display
) -> Evaluate | None:
    """What judges the student; its frames and class names are checked now."""
    validation, model = settings.validation, method.student
    if validation is None:
        return _target_evaluation(settings, method, runtime, display)
    frames = ValidationFrames(validation, model.classes)
    frames.check_labels(progress=_counter(display, 'checking validation labels'))
    ConfusionMatrix(model.classes, validation.merge, validation.score)

    def evaluate() -> Scores:
        segmenter = Segmenter(model, _as_trained(runtime, settings), live=True)
        return evaluate_frames(segmenter, frames, validation, display)

    return evaluate


def _as_trained(runtime: Runtime, settings: TrainSettings) -> InferenceSettings:
    """The published plan, on the device and in the precision of the training."""
    return InferenceSettings(str(runtime.device), settings.loop.precision)


def _target_evaluation(
    settings: TrainSettings, method: Method, runtime: Runtime, display: Display
) -> Evaluate | None:
    """What judges the student on unlabelled frames."""
    if settings.target is None or settings.loop.target_score_frames == 0:
        return None
    frames = TargetFrames(settings.target, settings.loop.target_score_frames)
    threshold = settings.self_training.pseudo_threshold

    def evaluate() -> TargetScores:
        teacher = getattr(method, 'teacher', None)
        networks = [method.student] if teacher is None else [method.student, teacher.model]
        how = _as_trained(runtime, settings)
        segmenters = [Segmenter(network, how, live=True) for network in networks]
        other = segmenters[1] if len(segmenters) > 1 else None
        return score_target(segmenters[0], other, frames, threshold, display)

    return evaluate
