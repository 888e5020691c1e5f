"""What holds for all tests: Ctrl-C reaches the processes that they start, wherever they run."""

from __future__ import annotations

import signal

# Ignored signals are inherited, and shells ignore this one for what runs in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)
