"""Gives memory that is free back to the machine."""

from __future__ import annotations

import ctypes


def return_free_memory() -> None:
    """Hand free pages of every heap back, where the C library can (glibc's ``malloc_trim``).

    Large requests from many threads leave holes in as many heaps, and glibc alone returns only
    what lies at a heap's end. Takes milliseconds, without Python's lock.
    """
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:
        trim(ctypes.c_size_t(0))
