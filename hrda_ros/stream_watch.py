"""What is odd about a stream of images, though each can be processed. No ROS."""

from __future__ import annotations

from typing import Any

NS_PER_S = 10**9


def stamp_ns(header: Any) -> int:
    """The stamp of a header [ns]."""
    return int(header.stamp.sec) * NS_PER_S + int(header.stamp.nanosec)


class StreamWatch:
    """Compares every frame of a camera with the one before it."""

    def __init__(self) -> None:
        self._stamp_ns: int | None = None
        self._format = ''

    def complaint(self, message: Any) -> str:
        """What a human should know of this frame, in words; '' if it follows the last one.

        Args:
            message: a sensor_msgs Image or CompressedImage, or any object with their fields.
        """
        return '; '.join(filter(None, (self._of_stamp(message.header), self._of_format(message))))

    def _of_stamp(self, header: Any) -> str:
        before, self._stamp_ns = self._stamp_ns, stamp_ns(header)
        if header.stamp.nanosec >= NS_PER_S:
            return f'a stamp has {header.stamp.nanosec} ns, more than a second; its age is wrong'
        if self._stamp_ns <= 0:
            return 'frames carry no stamp, so their age is unknown and others cannot match them'
        if before is not None and self._stamp_ns < before:
            back_s = (before - self._stamp_ns) / NS_PER_S
            return f'stamps went back by {back_s:.3f} s, as of a looped bag or a restarted camera'
        return ''

    def _of_format(self, message: Any) -> str:
        before, self._format = self._format, _format(message)
        if before and before != self._format:
            return f'frames are now {self._format}, before {before}'
        return ''


def _format(message: Any) -> str:
    if hasattr(message, 'format'):  # a CompressedImage, which does not tell its size
        return repr(message.format[:40])
    return f'{message.width}x{message.height} {message.encoding[:40]!r}'
