"""What a process used, by what the system says of it."""

import os
import subprocess
import sys

from labs import machine

BUSY_S = 0.3
BUSY = f"import time\nwhile time.process_time() < {BUSY_S}: pass"


def test_processor_time_of_children_that_ended_counts():
    before_s = machine.cpu_s(os.getpid())
    subprocess.run([sys.executable, "-c", BUSY], check=True)
    assert machine.cpu_s(os.getpid()) - before_s > BUSY_S / 2  # the kernel counts in ticks
