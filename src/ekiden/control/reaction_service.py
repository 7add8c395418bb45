"""The answers about reactions; a part of `service.Control`.

With a running daemon they are the reactor's. Without one they are what the queue keeps of them, and
one that is cancelled is not taken up again by the next start.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from ekiden.control.reaction_requests import CancelReaction, ReactionView, ShowReactions
from ekiden.queue.memory import Kind
from ekiden.queue.queue import Queue
from ekiden.shaping.reactions import Reaction


class ReactionAnswers:
    """Answers what `reaction_requests` asks.

    Args:
        queue: Keeps them.
        clock: UNIX seconds.
        live: Those of the running daemon; None when none runs.
        cancel: Ends one there; returns whether there was one.
    """

    def __init__(
        self,
        queue: Queue,
        clock: Callable[[], float],
        *,
        live: Callable[[], list[Reaction]] | None = None,
        cancel: Callable[[int], bool] | None = None,
    ) -> None:
        self._queue = queue
        self._clock = clock
        self._live = live
        self._cancel_live = cancel

    def questions(self) -> dict[type, Callable[[Any], Awaitable[Any]]]:
        """Return what answers each question."""
        return {ShowReactions: self._show, CancelReaction: self._cancel}

    async def _reactions(self) -> list[Reaction]:
        if self._live is not None:
            return self._live()
        kept = await self._queue.remembered(Kind.REACTION)
        now = self._clock()
        found = [msgspec.json.decode(text, type=Reaction) for text in kept.values()]
        return [one for one in found if not one.until or one.until > now]

    async def _show(self, _: ShowReactions) -> list[ReactionView]:
        found = sorted(await self._reactions(), key=lambda one: -one.id)
        return [
            ReactionView(
                id=one.id,
                rule=one.rule,
                where=one.where(),
                what=one.what(),
                since=one.since,
                until=one.until or None,
                reply=one.reply,
            )
            for one in found
        ]

    async def _cancel(self, request: CancelReaction) -> bool:
        if self._cancel_live is not None:
            return self._cancel_live(request.id)
        there = any(one.id == request.id for one in await self._reactions())
        if there:
            await self._queue.unremember(Kind.REACTION, [str(request.id)])
        return there
