"""Threads that sign and are none of Python's (crew.c): they take orders, and ring when one is done.

A thread of Python's needs the GIL to take a batch and to give it back, and gets it from a busy
event loop late; meanwhile its core may be idle (bench/README.md: 1.18 times the messages without).
Nothing here waits but `Crew.close`; an event loop listens to `Crew.bell`.
"""

import contextlib
import ctypes
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from ekiden.dkim.batch import COMPILED, STRUCTURES, Order, agree

Tag = TypeVar("Tag")
_LEAVE: Final = 1  # tasks that nobody has begun


class _Task(ctypes.Structure):
    """`struct task` of crew.c."""

    _fields_ = (
        ("next", ctypes.c_void_p),
        ("orders", ctypes.c_void_p),
        ("count", ctypes.c_size_t),
    )
    listed: "ctypes.Array[ctypes.c_void_p]"  # what `orders` points to


class _Library:
    """What crew.c was compiled to.

    Raises:
        OSError: There is none.
        AttributeError: It is not what it should be.
    """

    def __init__(self, library_file: Path) -> None:
        agree(ctypes.CDLL(str(library_file)), *STRUCTURES, _Task)
        quick = ctypes.PyDLL(str(library_file))  # keeps the GIL: a lock that is held for no time
        self.start, self.put, self.take = (
            getattr(quick, f"ekiden_crew_{name}") for name in ("start", "put", "take")
        )
        self.end = ctypes.CDLL(str(library_file)).ekiden_crew_end  # waits for threads
        pointer = ctypes.c_void_p
        self.start.restype = self.take.restype = pointer
        self.put.restype = self.end.restype = None
        self.start.argtypes = (ctypes.c_uint, ctypes.c_int, ctypes.c_int)
        self.put.argtypes = (pointer, pointer)
        self.take.argtypes = (pointer,)
        self.end.argtypes = (pointer, ctypes.c_int)


class Crew(Generic[Tag]):
    """The threads; `start_crew` makes them. Not to be used on two threads at once.

    Args:
        library: What crew.c was compiled to.
        threads: How many.
        priority: Theirs, as `os.setpriority` takes it.

    Attributes:
        bell: A descriptor that is readable when something is done; `taken` silences it.

    Raises:
        OSError: The system has no room for them.
    """

    def __init__(self, library: _Library, threads: int, priority: int) -> None:
        self._library = library
        # What the threads have in hand, by address: nothing of it may go while they might use it.
        self._tasks: dict[int, tuple[_Task, Tag, Sequence[Order]]] = {}
        self.bell, rung = self._pipe = os.pipe()
        for descriptor in self._pipe:
            os.set_blocking(descriptor, False)
        self._crew: int = library.start(threads, rung, priority)
        if not self._crew:
            for descriptor in self._pipe:
                os.close(descriptor)
            raise OSError(f"there is no room for {threads} signing threads")
        # Should nobody close it, they end before their memory goes: at the exit, too.
        self._forgotten = weakref.finalize(
            self, _end, library, self._crew, self._pipe, self._tasks, _LEAVE
        )

    def put(self, orders: Sequence[Order], tag: Tag) -> None:
        """Have orders signed by one of the threads, one order after the other.

        Args:
            orders: What is to be signed; theirs until it is taken.
            tag: Comes back with them.
        """
        task = _Task(count=len(orders))
        task.listed = (ctypes.c_void_p * len(orders))(*map(ctypes.addressof, orders))
        task.orders = ctypes.addressof(task.listed)
        address = ctypes.addressof(task)
        self._tasks[address] = (task, tag, orders)
        self._library.put(self._crew, address)

    def taken(self) -> list[tuple[Tag, Sequence[Order]]]:
        """Take what is done: tags and their orders, oldest first."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.bell, 64)  # they ring once and wait until somebody comes
        done = []
        address = self._library.take(self._crew)
        while address:
            task, tag, orders = self._tasks.pop(address)
            done.append((tag, orders))
            address = task.next
        done.reverse()
        return done

    def close(self) -> list[tuple[Tag, Sequence[Order]]]:
        """Wait until all is done, end the threads, and take what was not taken yet."""
        if self._forgotten.detach() is not None:
            _end(self._library, self._crew, self._pipe, self._tasks)
        left = [(tag, orders) for _, tag, orders in self._tasks.values()]
        self._tasks.clear()
        return left


def _end(
    library: _Library,
    crew: int,
    pipe: tuple[int, int],
    _in_hand: object,  # is kept until the threads have ended
    leave: int = 0,
) -> None:
    library.end(crew, leave)
    for descriptor in pipe:
        os.close(descriptor)


def start_crew(threads: int, priority: int, library_file: Path = COMPILED) -> Crew[Any] | None:
    """Start threads; None where crew.c was not compiled, or the system has no room for them.

    Args:
        threads: How many.
        priority: Theirs, as `os.setpriority` takes it.
        library_file: What crew.c was compiled to.
    """
    try:
        return Crew(_Library(library_file), threads, priority)
    except (OSError, AttributeError):
        return None
