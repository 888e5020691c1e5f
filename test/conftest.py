"""What holds for all tests: Ctrl-C reaches the processes that they start, wherever they run.

Matrix products come out alike in them and in the processes, which are told so by `hrda` itself.
"""

from __future__ import annotations

import os
import signal

# Ignored signals are inherited, and shells ignore this one for what runs in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.setdefault('MKL_CBWR', 'AUTO,STRICT')  # before the first product, which reads it
