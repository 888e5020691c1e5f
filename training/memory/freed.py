"""Large blocks of memory that are needed again at once, and need not be given back until then."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Names of glibc's settings, from malloc.h."""


def keep_freed_memory() -> None:
    """Have the C library keep what is freed for the next step, where it is glibc.

    It would give large blocks back to the system, which then hands out empty pages one by one: on
    a CPU a tenth of a training step, and a third of the time that reading and encoding a raw
    frame takes. The process stays as large as it was at its largest.
    """
    # A negative threshold switches the giving back off; 0 blocks come from outside the heap.
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, -1)
