"""Events to a program's standard input: JSON Lines, and the program started again when it ends.

No shell is asked, and nothing of our environment is handed on but PATH, HOME and LANG. What the
program prints is its acknowledgement where that is agreed, and thrown away otherwise; its standard
error is the daemon's.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ekiden.errors import UnavailableError
from ekiden.events.destination import Parcel
from ekiden.text import printable

_HANDED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")
_ENDING: Final = 5.0  # seconds a program has to end once its input has
_LINE: Final = 1024  # bytes of an acknowledgement


@dataclass(frozen=True, slots=True)
class PipeOptions:
    """Which program.

    Args:
        command: The program, by its whole path, and its arguments.
        acknowledges: It prints the id of the last event of each batch on a line.
        timeout: Seconds it has for one batch.
    """

    command: Sequence[str]
    acknowledges: bool = False
    timeout: float = 60.0


class Pipe:
    """Writes parcels to a program.

    Args:
        options: Which.
    """

    def __init__(self, options: PipeOptions) -> None:
        self._options = options
        self._process: asyncio.subprocess.Process | None = None

    async def send(self, parcel: Parcel) -> None:
        """Write a parcel; the program is started if it does not run."""
        try:
            async with asyncio.timeout(self._options.timeout):
                await self._write(parcel)
        except TimeoutError:
            await self._end()
            raise self._refused(f"took nothing within {self._options.timeout:g} s") from None
        except (OSError, ValueError) as error:
            why = "ended" if isinstance(error, ConnectionError) else str(error)
            status = await self._end()
            told = f"{why} (status {status})" if status is not None else why
            raise self._refused(told) from error

    async def close(self) -> None:
        """Close its input, and wait for its end for a moment."""
        await self._end()

    async def _write(self, parcel: Parcel) -> None:
        process = await self._running()
        assert process.stdin is not None  # noqa: S101 - it was asked for
        process.stdin.write(b"".join(body + b"\n" for body in parcel.bodies))
        await process.stdin.drain()
        if not self._options.acknowledges:
            if process.returncode is not None:
                raise ConnectionResetError
            return
        last = parcel.events[-1].id
        assert process.stdout is not None  # noqa: S101 - it was asked for
        while (line := await process.stdout.readline()) != b"":
            if line.strip() == last.encode():
                return
        raise ConnectionResetError

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        if self._process is not None:
            await self._end()
        pipe, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(
            *self._options.command,
            stdin=pipe,
            stdout=pipe if self._options.acknowledges else nowhere,
            env={name: os.environ[name] for name in _HANDED_ON if name in os.environ},
            start_new_session=True,  # Ctrl-C is for the daemon; the program ends with its input
            limit=_LINE,
        )
        return self._process

    async def _end(self) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ENDING):
                return await process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return await process.wait()

    def _refused(self, why: str) -> UnavailableError:
        return UnavailableError(
            f"the program {printable(why, 300)}", where=" ".join(self._options.command)[:200]
        )
