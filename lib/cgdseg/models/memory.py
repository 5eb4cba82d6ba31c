"""Keep freed memory for the next tensor: on a CPU, most of the time of a simple operation goes into fresh pages."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h
UNLIMITED = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell glibc to reuse large blocks; whether it did. Other C libraries are left as they are.

    By itself it maps every block above 32 MiB anew, and the kernel clears each page at first touch: what that costs
    the slides' code stands in benchmarks/results/train_step.json and inference.json."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, UNLIMITED))
