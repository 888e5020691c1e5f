"""What there is to do for a recording, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence

from training.bag_segmentation.messages import plan_topics
from training.bag_segmentation.outputs import Output
from training.bag_segmentation.segmentation import Job, Tally
from training.bag_segmentation.settings import Making, describe_input
from training.bag_segmentation.source import Reading
from training.bags.image_topics import ImageTopic, topics_in
from training.bags.mcap_records import Channel
from training.bags.reading import Bag
from training.bags.ros2_messages import is_portable
from training.progress import Display


def plan_job(
    output: Output,
    listed: Sequence[ImageTopic],
    cameras: Sequence[ImageTopic],
    making: Making,
    notes: dict[str, str],
    display: Display,
) -> Job | None:
    """What to do for a result; None where the recording has no such images.

    Args:
        output: the result.
        listed: image topics of all recordings, as `list_image_topics` gives them.
        cameras: those of them to segment.
        making: what is made.
        notes: how it is made.
        display: is told what the recording lacks.
    """
    bag = output.bag
    held = bag.topics()
    bag.drop_unpacked()  # what is asked next is known by now, and recordings may be many
    names = topics_in(bag, held, listed, cameras, display.say)
    if not names:
        return None
    copied = [channel for channel in bag.channels() if _is_copied(channel, names, making)]
    left = [channel for channel in bag.channels() if not is_portable(channel)]
    if making.copy == 'all' and left:
        kinds = ', '.join(f'{channel.topic} ({channel.msgtype})' for channel in left)
        display.say(f'{bag.path}: not copied, as ROS 2 has no such messages: {kinds}')
    topics = plan_topics(copied, names, making.overlay)
    read = {*names, *(channel.topic for channel in copied)}
    start, end = output.part.bounds(sum(t.count for t in held if t.name in names))
    reading = Reading(
        bag,
        read,
        names,
        making.interval_ns,
        start,
        end - start,
        output.part.index + 1 == output.part.count,
        making.copy == 'all',
    )
    about = notes | describe_input(bag, topics.made, output.part)
    return Job(output.file, reading, topics, making, about)


def _is_copied(channel: Channel, cameras: Sequence[str], making: Making) -> bool:
    return is_portable(channel) and (
        making.copy == 'all' or (making.copy == 'images' and channel.topic in cameras)
    )


def count_results(job: Job, tally: Tally) -> None:
    """Count what a finished file holds, and what it lacks as far as that can be told."""
    names = {job.topics.channels[made['label'] - 1].topic for made in job.topics.made.values()}
    labels = sum(topic.count for topic in Bag(job.output).topics() if topic.name in names)
    lacking = 0 if job.making.interval_ns else job.reading.count - labels
    tally.known += labels
    if lacking > 0:
        tally.refused += lacking
        tally.damage.append(
            f'{job.reading.bag.path}: {lacking} images could not be labelled when {job.output} '
            'was made; delete it and run again to see why'
        )


def losses(job: Job) -> list[str]:
    """What of the recording could not be read."""
    bag = job.reading.bag
    counts = {topic.name: topic.count for topic in bag.topics()}
    return bag.damage + [
        f'{bag.path}: {counts[name]} of the {bag.expected[name]} messages on {name} that its '
        'metadata.yaml promises could be read'
        for name in job.reading.cameras
        if counts[name] < bag.expected.get(name, 0)
    ]
