"""Errors of what is asked to be done to frames."""

from __future__ import annotations


class PictureError(ValueError):
    """It cannot be done to the frames of this recording; others may be as it needs them."""


class FrameSizeError(PictureError):
    """It cannot be done to a frame of this size; others may have another one."""


class AnonymiseError(ValueError):
    """A frame could not be made anonymous, so that nothing more must be written."""
