"""
Run a command and print its seconds and peak memory, from a process so small that its own memory does not count.

The operating system counts a process's peak from the fork on, when it still is a copy of its parent: started from a
large parent every command would seem as large.
"""

import os
import sys
import time

begun = time.perf_counter()
child = os.fork()
if child == 0:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - the benchmark's own commands
_, status, usage = os.wait4(child, 0)
print(time.perf_counter() - begun, usage.ru_maxrss * 1024)
sys.exit(os.waitstatus_to_exitcode(status))
