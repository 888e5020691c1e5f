"""Errors of what is asked to be done to frames."""

from __future__ import annotations


class PictureError(ValueError):
    """It cannot be done to the frames of this recording."""


class FrameSizeError(PictureError):
    """It cannot be done to a frame of this size; others may have another one."""
