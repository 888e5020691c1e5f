"""The temperature that makes a network's confidence honest, kept in its checkpoint's metadata.

Dividing the logits by one number changes no label, only how sure each is (Guo et al., 'On
Calibration of Modern Neural Networks', ICML 2017, section 4.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hrda_core.hrda import HRDA
from hrda_core.metadata import MetadataEntry


@dataclass(frozen=True)
class FittedTemperature(MetadataEntry):
    """What `hrda calibrate` found on labelled frames.

    Attributes:
        temperature: what logits are divided by, above 0; above 1 makes less sure.
        error_before, error_after: expected calibration error on those frames, 0..1.
        images: how many frames there were.
    """

    temperature: float
    error_before: float
    error_after: float
    images: int

    key: ClassVar[str] = 'calibration'
    command: ClassVar[str] = 'hrda calibrate'

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float('inf'):
            raise ValueError(f'temperature {self.temperature} must be above 0')


def temperature_of(model: HRDA) -> float:
    """What the logits of a network are divided by for its confidence; 1 if not calibrated."""
    found = FittedTemperature.of(model)
    return 1.0 if found is None else found.temperature
