"""A network namespace of the test's own, with the addresses it wants on its loopback."""

import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

_CLONE_NEWNET = 0x40000000  # sched.h; os.unshare comes with Python 3.12


@contextmanager
def own_network(addresses: Sequence[str]) -> Iterator[None]:
    """Put this thread, and those it starts, into an empty network; skips where that is not allowed.

    Args:
        addresses: IPv6 addresses that its loopback has besides ::1.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if os.getuid() or libc.unshare(_CLONE_NEWNET):
            pytest.skip("a network of its own is not allowed here")
        try:
            commands = [f"addr add {one}/128 dev lo nodad" for one in addresses]
            for command in ("link set lo up", *commands):
                if subprocess.run(["ip", *command.split()], check=False).returncode:
                    pytest.skip(f"ip {command} does not work here")
            yield
        finally:
            assert libc.setns(before, _CLONE_NEWNET) == 0
    except FileNotFoundError:
        pytest.skip("ip (iproute2) is not installed")
    finally:
        os.close(before)
