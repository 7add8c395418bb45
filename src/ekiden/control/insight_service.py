"""The answers about how things go; a part of `service.Control`."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from ekiden.bounce.classes import CLASSES
from ekiden.bounce.model import Action
from ekiden.control import insight_requests as asked
from ekiden.queue.insight import Failure
from ekiden.queue.model import State
from ekiden.queue.queue import Queue
from ekiden.smtp.outcome import Cause

_MOST: Final = 1000
_FRESH: Final = 10.0  # seconds: counting what failed looks at every delivery of a job
_KEPT: Final = 32

REMEDIES: Final[Mapping[Action, str]] = {
    Action.SUPPRESS_RECIPIENT: "nothing: the address is suppressed and not mailed again",
    Action.RETRY_LATER: "nothing: it is tried again by itself",
    Action.THROTTLE_DESTINATION: "nothing: the rate goes down by itself; a lasting limit belongs "
    "into the caps of this provider (ekiden shaping)",
    Action.BLOCKED_REPUTATION: "look at the list or provider that the reply names, mend the "
    "cause, ask to be delisted, then: ekiden reputation",
    Action.FIX_SENDER: "mend the sender's DNS or set-up as the reply says (ekiden dkim check), "
    "then send the job again to those who were refused",
    Action.CONTENT_REJECTED: "change the content (links, wording, attachments), then send it "
    "again to those who were refused",
    Action.MAILBOX_FULL_RETRY: "nothing: it is tried again; an address that stays full is "
    "suppressed",
    Action.OTHER: "read the reply; ekiden classify explains it",
}
_LACKS: Final = "The receiver lacks what the message needs, or it is larger than it takes."
_BY_FATE: Final = {
    State.SUPPRESSED: "nothing: they had left, bounced or complained before",
    State.CANCELLED: "nothing: the job was cancelled",
    State.EXPIRED: "the receiver took too long or the deadline was short: see deliver_by and "
    "delivery.lifetime",
    State.HELD: "decide: ekiden job release ID sends them again, with --drop it does not",
}


class InsightAnswers:
    """Answers what `insight_requests` asks.

    Args:
        queue: The queue.
        providers: Asks the running engine; None when none runs.
    """

    def __init__(
        self,
        queue: Queue,
        providers: Callable[[], Awaitable[Sequence[asked.ProviderView]]] | None,
    ) -> None:
        self._queue = queue
        self._live = providers
        self._counted: OrderedDict[int, tuple[float, list[Failure]]] = OrderedDict()

    def questions(self) -> dict[type, Callable[[Any], Awaitable[Any]]]:
        """Return what answers each question."""
        return {
            asked.Providers: self._providers,
            asked.Failures: self._failures,
            asked.JobReactions: self._reactions,
            asked.Alerts: self._alerts,
        }

    async def _providers(self, _: asked.Providers) -> list[asked.ProviderView]:
        return list(await self._live()) if self._live else []

    async def _failures(self, one: asked.Failures) -> list[asked.FailureView]:
        job = await self._queue.job(one.job)
        found = []
        for each in await self._failed(job.id):
            known = CLASSES.get(each.klass)
            lacks = each.klass == Cause.UNSUPPORTED
            action = known.action if known else Action.FIX_SENDER if lacks else Action.OTHER
            remedy = _BY_FATE.get(each.state) or (REMEDIES[action] if known else "")
            if lacks:
                remedy = "send those who were refused a smaller message, or one that needs less"
            found.append(
                asked.FailureView(
                    fate="deferred" if each.state is State.READY else str(each.state),
                    klass=each.klass,
                    rule=each.rule,
                    number=each.number,
                    code=each.code,
                    reply=each.reply,
                    meaning=known.meaning if known else _LACKS if lacks else "",
                    action=str(action) if known or lacks else "",
                    remedy=remedy,
                )
            )
        return found

    async def _failed(self, job: int) -> list[Failure]:
        now = time.monotonic()
        at, failures = self._counted.pop(job, (now - _FRESH, []))
        if now - at >= _FRESH:
            at, failures = now, await self._queue.failures(job)
        self._counted[job] = at, failures
        while len(self._counted) > _KEPT:
            self._counted.popitem(last=False)
        return failures

    async def _reactions(self, one: asked.JobReactions) -> list[asked.JobReactionView]:
        job = await self._queue.job(one.job)
        return [
            asked.JobReactionView(
                kind=each.kind,
                url=each.url,
                human=each.human,
                times=each.times,
                deliveries=each.deliveries,
            )
            for each in await self._queue.reaction_totals(job.id)
        ]

    async def _alerts(self, one: asked.Alerts) -> list[asked.AlertView]:
        return [
            asked.AlertView(at=each.at, scope=each.scope, job=each.job_id, detail=each.detail)
            for each in await self._queue.newest_notices(min(one.limit, _MOST))
        ]
