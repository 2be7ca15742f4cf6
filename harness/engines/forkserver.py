"""The fork server: imports torch once, then every cell's process starts in milliseconds.

It holds no CUDA context and has run no operation, so forking it is safe.
"""

import multiprocessing
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import signal
from typing import Any


def warm_up() -> Any:
    """Start the fork server, which imports torch in the background; return its context."""
    # NumPy's linear algebra reads this once, on import. One thread: the same bits whatever the
    # number of cells at once, and no fight over cores. Torch's threads are set by each cell.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["harness.engines.warm"])
    # Ctrl-C reaches the whole process group, also a server that is still importing torch: it
    # inherits that the signal is blocked. Only this process answers it. The tracker goes first,
    # because starting it unblocks the signal.
    multiprocessing.resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    return context
