"""A topic of a recording, and what became of its frames."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from training.extraction.frame_writer import topic_folder

KEPT, KNOWN = 'kept', 'known'
"""What can become of a frame, beside the reasons why it was not kept."""


@dataclass(frozen=True)
class DriveTopic:
    """A topic of a recording to extract.

    Attributes:
        bag: path of the recording.
        drive: its name, the folder below the output folder.
        topic: name of the topic.
        count: its messages, as far as is known.
        info_topic: topic of its CameraInfo; '' without any.
    """

    bag: Path
    drive: str
    topic: str
    count: int
    info_topic: str = ''

    def folder(self, root: Path) -> Path:
        """Where its images go."""
        return root / self.drive / topic_folder(self.topic)


@dataclass
class Outcome:
    """What became of a topic of a recording.

    Attributes:
        part: which.
        counts: frames by what became of them: kept now, known as kept from an earlier run, or
            the reason why not.
        damage: what could not be read, one sentence each.
        unfit: why what is asked for cannot be done to its frames; empty when it can.
    """

    part: DriveTopic
    counts: Counter[str] = field(default_factory=Counter)
    damage: list[str] = field(default_factory=list)
    unfit: str = ''
