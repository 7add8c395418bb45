"""Events to files of their own: an event log in another directory, with a filter and a form."""

import asyncio

from ekiden.events.destination import Parcel
from ekiden.events.log import EventLog, LogOptions


class Files:
    """Appends parcels.

    Args:
        options: Where, and when files are closed.
    """

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._log: EventLog | None = None

    async def send(self, parcel: Parcel) -> None:
        """Append a parcel; it is on the disk when this returns."""
        await asyncio.to_thread(self._append, parcel)

    async def close(self) -> None:
        """Close the file."""
        log, self._log = self._log, None
        if log is not None:
            await asyncio.to_thread(log.close)

    def _append(self, parcel: Parcel) -> None:
        if self._log is None:
            self._log = EventLog.open(self._options)
        self._log.append_lines(b"".join(body + b"\n" for body in parcel.bodies))
