"""The newest events, read from the end of the log: what the log's own files say, bounded."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ekiden import limits
from ekiden.control.tokens import Scope
from ekiden.control.wire import WireError
from ekiden.events.log import CURRENT
from ekiden.events.model import Event, EventType
from ekiden.web.admin.api import answer
from ekiden.web.admin.doorkeeper import Doorkeeper


class EventsWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which events.

    Args:
        type: Only these types.
        job: Only of this job, by name or identity.
        recipient: Only about this address.
        after: Only what was written after the event with this id.
        limit: The newest so many.
    """

    type: tuple[EventType, ...] = ()
    job: str = ""
    recipient: str = ""
    after: str = ""
    limit: int = 100


FIELDS: Final = EventsWanted.__struct_fields__
_LIMIT_MOST: Final = 1000


class EventTail:
    """Answers `GET /v1/events`.

    Args:
        directory: Where the log is.
        doorkeeper: Lets programs in.
    """

    def __init__(self, directory: Path, doorkeeper: Doorkeeper) -> None:
        self._file = directory / CURRENT
        self._doorkeeper = doorkeeper

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/v1/events", self.newest, methods=["GET"])]

    async def newest(self, request: Request) -> Response:
        """The newest events, the oldest of them first."""
        token = await self._doorkeeper.admit(request, Scope.READ)
        if isinstance(token, Response):
            return token
        given: dict[str, object] = dict(request.query_params.items())
        if "type" in given:
            given["type"] = request.query_params.getlist("type")
        try:
            wanted = msgspec.convert(given, EventsWanted, strict=False)
        except msgspec.ValidationError as error:
            remedy = f"known here: {', '.join(FIELDS)}"
            raise WireError(f"the fields are wrong: {error}", remedy=remedy) from None
        return answer({"items": await asyncio.to_thread(newest, self._file, wanted)})


def newest(file: Path, wanted: EventsWanted) -> list[Event]:
    """Return events from the end of a log; blocks.

    Args:
        file: The log's current file.
        wanted: Which ones.
    """
    found: list[Event] = []
    most = max(0, min(wanted.limit, _LIMIT_MOST))
    for event in _backwards(file):
        if len(found) >= most or (wanted.after and event.id == wanted.after):
            break
        if (
            (not wanted.type or event.type in wanted.type)
            and wanted.job in {"", event.job, event.job_uid}
            and wanted.recipient.lower() in {"", event.recipient.lower()}
        ):
            found.append(event)
    return found[::-1]


def _backwards(file: Path) -> Iterator[Event]:
    """Yield the events of the end of a file, the last one first; what is no event is left out."""
    try:
        with file.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            start = max(0, size - limits.HTTP_EVENT_BYTES)
            log.seek(start)
            lines = log.read(limits.HTTP_EVENT_BYTES).splitlines()
    except FileNotFoundError:
        return
    for line in reversed(lines[1:] if start else lines):
        try:
            yield msgspec.json.decode(line, type=Event)
        except msgspec.DecodeError:
            continue
