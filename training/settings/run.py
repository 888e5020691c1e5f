"""Settings of a training run, as dataclasses that a parser understands; needs no torch.

Relative paths in a settings file are relative to the directory in which the command is started,
not to the file. A run folder keeps them as absolute paths.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

import jsonargparse

from hrda_core.architecture import Architecture
from training.data.settings import (
    FewLabelsSettings,
    SourceSettings,
    TargetSettings,
    ValidationSettings,
)
from training.methods import MethodName
from training.methods.settings import (
    AdversarialSettings,
    DistillationSettings,
    MaskedConsistencySettings,
    MinEntropySettings,
    SelfTrainingSettings,
)

LARGEST_NUMBER = 2**31 - 1
"""Of steps and of seeds, so that generators and tables can hold them."""
LARGEST_CROP = 8192
"""Side of crops [px], as of the largest image that can be segmented."""

jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)


@dataclass(frozen=True)
class ModelSettings(Architecture):
    """The network, and the weights its encoder starts from."""

    encoder_weights: str | None = None
    """File (.safetensors, .pth) with weights for the encoder; null = see pretrained."""
    encoder_weights_match: Literal['name', 'order'] = 'name'
    """Whether tensors of that file are found by their names, or one after the other by shape."""
    pretrained: bool = False
    """Download timm's ImageNet weights of this encoder (needs the internet once)."""
    start_from: str | None = None
    """Checkpoint (.safetensors) of the same network that the student starts from, such as the
    model.safetensors of a source-only run; the feature distance keeps looking at the weights
    above."""
    start_from_match: Literal['all', 'fitting'] = 'all'
    """Whether that checkpoint must fit as a whole, or tensors of equal name and shape are taken
    and the rest starts anew, such as another head."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        super().__post_init__()
        if self.pretrained and self.encoder_weights is not None:
            raise ValueError(
                f'model.pretrained is true and model.encoder_weights is {self.encoder_weights}: '
                'choose one source of weights'
            )

    @property
    def starts_pretrained(self) -> bool:
        """Whether the encoder starts from weights worth keeping."""
        return self.pretrained or self.encoder_weights is not None

    def architecture(self) -> Architecture:
        """The part that checkpoints keep."""
        names = [field.name for field in dataclasses.fields(Architecture)]
        return Architecture(**{name: getattr(self, name) for name in names})


@dataclass(frozen=True)
class OptimiserSettings:
    """How the weights are moved."""

    name: Literal['adamw', 'sgd'] = 'adamw'
    """adamw as published for HRDA; sgd for the adversarial and entropy methods."""
    lr: float = 6e-5
    """Learning rate of the encoder at its highest."""
    head_lr_multiplier: float = 10.0
    """How many times faster both heads learn."""
    weight_decay: float = 0.01
    """Pull of the weights towards zero, multiplied by the learning rate."""
    decay_norms: bool = False
    """Whether the encoder's normalisation layers are pulled towards zero as well."""
    betas: tuple[float, float] = (0.9, 0.999)
    """AdamW's memory of the gradient and of its square, 0..1."""
    momentum: float = 0.9
    """SGD's memory of the gradient, 0..1."""
    warmup_steps: int = 1500
    """Steps over which the learning rate rises from almost 0 [steps]."""
    schedule: Literal['poly', 'constant'] = 'poly'
    """poly falls to 0 at the end of the run; constant stays."""
    power: float = 1.0
    """Shape of poly's fall; 1 is a straight line."""
    clip_norm: float | None = None
    """Scale longer gradients of the student down to this norm; null = never, as published."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        for name in ('lr', 'head_lr_multiplier', 'power'):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(
                    f'optimiser.{name} {getattr(self, name)} must be above 0, and finite'
                )
        for name, values in (('betas', self.betas), ('momentum', (self.momentum,))):
            if not all(0 <= value < 1 for value in values):
                raise ValueError(
                    f'optimiser.{name} {getattr(self, name)} must be in 0..1, below 1'
                )
        for name in ('weight_decay', 'warmup_steps'):
            if getattr(self, name) < 0:
                raise ValueError(f'optimiser.{name} {getattr(self, name)} must not be negative')
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f'optimiser.clip_norm {self.clip_norm} must be above 0, or null')


@dataclass(frozen=True)
class LoopSettings:
    """How long, how wide and on what training runs, and what it leaves behind."""

    iterations: int = 40000
    """Optimiser steps of the whole run [steps]."""
    batch_size: int = 2
    """Source images that go through the network at once, and as many target images [images]."""
    devices: int | Literal['auto'] = 1
    """GPUs of this machine, or processes on its CPU, that train together, each with batches of its
    own; auto = all GPUs there are. torchrun and srun bring their own number. The learning rate
    is not changed by itself: for n times the images per step, n times less steps and a rate up
    to n times (sgd) or the root of n times (adamw) as high are a fair start."""
    nodes: int = 1
    """Machines with `devices` each. The command is started on each of them by torchrun or srun, or
    with MASTER_ADDR, MASTER_PORT and NODE_RANK set; they need the data and the run folder under
    the same paths."""
    accumulate: int = 1
    """Batches per step, whose mean gradient moves the weights once: as a batch that many times as
    large, in the memory of one. Batch norms and pseudo label quality see one batch at a time."""
    workers: int = 2
    """Processes that load images, for source and target each; 0 = none but the trainer itself."""
    seed: int = 0
    """Start of everything random; the same seed and machine give the same run."""
    precision: Literal['fp32', 'bf16', 'fp16'] = 'fp32'
    """Number format of the network's work; losses and weights stay fp32. fp16 needs a GPU."""
    gradient_checkpointing: bool = False
    """Compute blocks again in the backward pass instead of keeping what they computed: the same
    gradients in half the memory or less, about a third slower."""
    channels_last: bool = False
    """Keep images and maps in memory pixel by pixel, which convolutions on recent GPUs like."""
    compile: bool = False
    """Compile encoder and heads: minutes at the first step, faster steps from then on."""
    tf32: bool = False
    """Let fp32 products on a GPU round their inputs to 10 bits; false = true fp32."""
    device: Literal['auto', 'cpu', 'cuda'] = 'auto'
    """auto takes the GPU where there is one."""
    evaluate_every: int = 4000
    """Score the validation frames (without them: look at target frames), and draw pictures of
    what goes on, every so many steps, and at the end; 0 = at the end [steps]."""
    target_score_frames: int = 50
    """Where there are no validation frames: so many target frames, evenly spread, tell how
    steady, decided and diverse the predictions are, which picks the best student; 0 = none."""
    checkpoint_every: int = 1000
    """Save a state to go on from every so many steps, and at the end; 0 = at the end [steps]."""
    log_every: int = 50
    """Write a row of metrics (means over these steps) every so many steps [steps]."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if self.compile and self.gradient_checkpointing:
            raise ValueError(
                'loop.compile and loop.gradient_checkpointing exclude each other: compiled blocks '
                'cannot keep their batch norms still while they are computed again; choose one'
            )
        for name in ('iterations', 'batch_size', 'nodes', 'accumulate', 'log_every'):
            if getattr(self, name) < 1:
                raise ValueError(f'loop.{name} {getattr(self, name)} must be at least 1')
        if self.devices != 'auto' and self.devices < 1:
            raise ValueError(f'loop.devices {self.devices} must be at least 1, or auto')
        for name in (
            'workers',
            'seed',
            'evaluate_every',
            'checkpoint_every',
            'target_score_frames',
        ):
            if getattr(self, name) < 0:
                raise ValueError(f'loop.{name} {getattr(self, name)} must not be negative')
        for name in ('iterations', 'seed'):
            if getattr(self, name) > LARGEST_NUMBER:
                raise ValueError(
                    f'loop.{name} {getattr(self, name)} must be at most {LARGEST_NUMBER}'
                )


@dataclass(frozen=True)
class TrainSettings:
    """Everything a training run depends on."""

    source: SourceSettings | None
    """Labelled simulator frames; null is possible for distillation alone."""
    output: str
    """Run folder; made by the run, must not exist or be empty. A settings file that names none
    gets runs/ and its own name."""
    target: TargetSettings | None = None
    """Unlabelled camera frames; null where only the source is learnt from."""
    extra_sources: list[SourceSettings] = dataclasses.field(default_factory=list)
    """More labelled data sets, each with its own weight; every labelled image of a batch is
    drawn from one of them or from source, by weight."""
    few_labels: FewLabelsSettings | None = None
    """A few labelled camera frames to learn from as well; null = none. They must not be
    validation frames."""
    validation: ValidationSettings | None = None
    """Labelled frames to score; null = no scores."""
    method: MethodName = 'self_training'
    """source_only learns from the simulator alone; self_training adapts to the camera;
    masked_consistency does so with a further loss on camera frames most of which is hidden;
    min_entropy and adversarial adapt through the predictions alone (the paper's Table 2);
    distillation copies what a trained teacher says of camera frames. Supervised training on the
    camera (an oracle) is source_only with labelled camera frames as source."""
    classes: str = 'cityscapes'
    """cityscapes, synthia, or the path of a class file (YAML)."""
    crop_size: int | None = None
    """Side of the crops of source and target frames [px of the resized frame]; null = the size
    of the context. From larger ones a context is cut at the same place of both, as published for
    the studies of small contexts."""
    model: ModelSettings = dataclasses.field(default_factory=ModelSettings)
    self_training: SelfTrainingSettings = dataclasses.field(default_factory=SelfTrainingSettings)
    masked_consistency: MaskedConsistencySettings = dataclasses.field(
        default_factory=MaskedConsistencySettings
    )
    min_entropy: MinEntropySettings = dataclasses.field(default_factory=MinEntropySettings)
    adversarial: AdversarialSettings = dataclasses.field(default_factory=AdversarialSettings)
    distillation: DistillationSettings = dataclasses.field(default_factory=DistillationSettings)
    optimiser: OptimiserSettings = dataclasses.field(default_factory=OptimiserSettings)
    loop: LoopSettings = dataclasses.field(default_factory=LoopSettings)

    def __post_init__(self) -> None:
        """Check what fields must hold together; raises ValueError."""
        if self.method != 'source_only' and self.target is None:
            raise ValueError(
                f'method {self.method} needs target frames: set target.root, '
                'or method: source_only'
            )
        if self.method != 'distillation' and self.source is None:
            raise ValueError(f'method {self.method} needs labelled frames: set source.root')
        if self.source is None and (self.extra_sources or self.few_labels is not None):
            raise ValueError(
                'extra_sources and few_labels come on top of a source: set source.root, or name '
                'one of them as source'
            )
        if self.method == 'distillation' and self.distillation.teacher is None:
            raise ValueError(
                'method distillation needs a teacher: set distillation.teacher to a checkpoint, '
                'or use hrda distill TEACHER.safetensors CONFIG'
            )
        if self.crop_size is not None and self.crop_size > LARGEST_CROP:
            raise ValueError(f'crop_size {self.crop_size} must be at most {LARGEST_CROP} px')
        if self.crop_size is not None and self.crop_size < self.model.context_size:
            raise ValueError(
                f'crop_size {self.crop_size} is smaller than model.context_size '
                f'{self.model.context_size}; null takes crops of that size'
            )
