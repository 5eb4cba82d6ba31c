"""Freed memory stays with the process where the C library allows it."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import re, sys
import numpy as np
from cgdseg.models.memory import keep_freed_memory

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024

if sys.argv[1] == "keep":
    assert keep_freed_memory()
before = resident()
block = np.ones(100 << 20, np.uint8)
del block
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_freed_memory_is_kept():
    grown = {
        how: int(subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, check=True).stdout)
        for how in ("keep", "give back")
    }
    assert grown["keep"] > 90 and grown["give back"] < 10
