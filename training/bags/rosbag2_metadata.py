"""What rosbag2 wants to know of a recording: metadata.yaml and the publishers' QoS profiles.

Version 8 of the format is written: `ros2 bag` of Humble reads its numbered policies, which later
releases still understand, while the named ones of version 9 stop it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from training.bags.mcap_file import McapFile
from training.bags.mcap_records import Channel

FILE_NAME = 'metadata.yaml'
VERSION = 8
# The order of the enumerations in rmw/types.h.
_POLICIES = {
    'history': ('system_default', 'keep_last', 'keep_all', 'unknown'),
    'reliability': ('system_default', 'reliable', 'best_effort', 'unknown', 'best_available'),
    'durability': ('system_default', 'transient_local', 'volatile', 'unknown', 'best_available'),
    'liveliness': (
        'system_default',
        'automatic',
        'manual_by_node',
        'manual_by_topic',
        'unknown',
        'best_available',
    ),
}
_FOREVER = {'sec': 9223372036, 'nsec': 854775807}


class FileFacts(NamedTuple):
    """One storage file: its name, earliest and latest record time [ns], messages per topic."""

    name: str
    period_ns: tuple[int, int]
    counts: Mapping[Channel, int]


def file_facts(path: Path) -> FileFacts:
    """The facts of a whole .mcap file.

    Raises:
        BagDamageError: it is none.
    """
    file = McapFile(path)
    try:
        counts = [topic.count for topic in file.topics()]
        channels = file.channels()
    finally:
        file.close()
    return FileFacts(path.name, file.period_ns, dict(zip(channels, counts, strict=True)))


def bag_information(files: Sequence[FileFacts]) -> dict[str, Any]:
    """What metadata.yaml says of a bag of some files, in recorded order."""
    counts: dict[Channel, int] = {}
    for file in files:
        for channel, count in file.counts.items():
            counts[channel] = counts.get(channel, 0) + count
    held = [file.period_ns for file in files if any(file.counts.values())]
    period = (min((p[0] for p in held), default=0), max((p[1] for p in held), default=0))
    return {
        'version': VERSION,
        'storage_identifier': 'mcap',
        **_period(period),
        'message_count': sum(counts.values()),
        'topics_with_message_count': [_topic(*entry) for entry in counts.items()],
        'compression_format': '',
        'compression_mode': '',
        'relative_file_paths': [file.name for file in files],
        'files': [
            {
                'path': file.name,
                **_period(file.period_ns),
                'message_count': sum(file.counts.values()),
            }
            for file in files
        ],
        'custom_data': None,
        'ros_distro': 'unknown',
    }


def metadata_text(files: Sequence[FileFacts]) -> str:
    """The text of metadata.yaml beside some files, in recorded order."""
    content = {'rosbag2_bagfile_information': bag_information(files)}
    return yaml.safe_dump(content, sort_keys=False)


def qos_text(durability: str) -> str:
    """One reliable profile of depth 5, as rosbag2 writes it.

    Args:
        durability: volatile or transient_local.
    """
    profile = {
        'history': 'keep_last',
        'depth': 1 if durability == 'transient_local' else 5,
        'reliability': 'reliable',
        'durability': durability,
        'deadline': dict(_FOREVER),
        'lifespan': dict(_FOREVER),
        'liveliness': 'automatic',
        'liveliness_lease_duration': dict(_FOREVER),
        'avoid_ros_namespace_conventions': False,
    }
    return numbered_qos(yaml.safe_dump([profile]))


def numbered_qos(text: str) -> str:
    """Recorded profiles with their policies as numbers; what cannot be read becomes empty.

    Args:
        text: YAML of any version of rosbag2.
    """
    try:
        profiles = yaml.safe_load(text) or []
        numbered = [{key: _number(key, value) for key, value in p.items()} for p in profiles]
    except (yaml.YAMLError, ValueError, AttributeError, TypeError):
        return ''
    return yaml.safe_dump(numbered, sort_keys=False) if numbered else ''


def _number(policy: str, value: Any) -> Any:
    if policy not in _POLICIES or isinstance(value, int):
        return value
    return _POLICIES[policy].index(value)


def _topic(channel: Channel, count: int) -> dict[str, Any]:
    return {
        'topic_metadata': {
            'name': channel.topic,
            'type': channel.msgtype,
            'serialization_format': 'cdr',
            'offered_qos_profiles': channel.qos,
            'type_description_hash': channel.type_hash,
        },
        'message_count': count,
    }


def _period(period_ns: tuple[int, int]) -> dict[str, Any]:
    first, last = period_ns
    return {
        'duration': {'nanoseconds': last - first},
        'starting_time': {'nanoseconds_since_epoch': first},
    }
