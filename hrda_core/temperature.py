"""The temperature that makes a network's confidence honest, kept in its checkpoint's metadata.

Dividing the logits by one number changes no label, only how sure each is (Guo et al., 'On
Calibration of Modern Neural Networks', ICML 2017, section 4.2).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from hrda_core.hrda import HRDA
from hrda_core.metadata import entry_of

METADATA_KEY = 'calibration'


@dataclass(frozen=True)
class FittedTemperature:
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

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float('inf'):
            raise ValueError(f'temperature {self.temperature} must be above 0')

    def to_json(self) -> str:
        """Text for the metadata."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, model: HRDA) -> FittedTemperature | None:
        """What the checkpoint of a network says; None if it was not calibrated.

        Raises:
            ValueError: what it says cannot be understood.
        """
        return entry_of(model, METADATA_KEY, cls, 'hrda calibrate')


def temperature_of(model: HRDA) -> float:
    """What the logits of a network are divided by for its confidence; 1 if not calibrated."""
    found = FittedTemperature.of(model)
    return 1.0 if found is None else found.temperature
