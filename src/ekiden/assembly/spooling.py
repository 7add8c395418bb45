"""Jobs on their way in from the spool, and their answers on the way out."""

from collections.abc import Sequence
from typing import Final

from ekiden import settings
from ekiden.assembly.base import Base
from ekiden.assembly.duties import Duties
from ekiden.assembly.events import Events
from ekiden.errors import EkidenError, RefusedError
from ekiden.events.model import SPOOL
from ekiden.forecast.estimates import Estimates
from ekiden.forecast.foresight import Foresight
from ekiden.message.addresses import parse_mailbox
from ekiden.queue.model import NewDelivery, NewJob
from ekiden.spool.house import House
from ekiden.spool.intake import Intake
from ekiden.spool.jobspec import JobSpec, OnLate
from ekiden.spool.layout import Spool
from ekiden.spool.report import Reporter
from ekiden.templates.model import StoredTemplate, parse_reference
from ekiden.text import printable

_REPORT_EVERY: Final = 0.5  # seconds


class Spooling:
    """Takes jobs from the spool, and answers there.

    Args:
        base: What every group stands on.
        spool: The open spool.
        duties: Hear of jobs.
        events: Tell of what is refused.
        estimates: Say whether a job with a deadline will make it.

    Attributes:
        intake: Takes jobs.
        reporter: Answers.
    """

    def __init__(
        self, base: Base, spool: Spool, duties: Duties, events: Events, estimates: Estimates
    ) -> None:
        self._base = base
        self._events = events
        foresight = Foresight(
            estimates,
            duties.volumes.unusual,
            default=lambda: OnLate(base.config.delivery.on_late),
            alert=duties.standings.alert,
        )
        house = House(
            check=self._check,
            complete=self._complete,
            find=self._find_template,
            judge=self._judge,
            foresight=foresight,
            opened=duties.job_opened,
            refused=self._refused,
        )
        self.intake = Intake(spool, base.queue, settings.intake(base.config), house, clock=base.now)
        self.reporter = Reporter(
            spool, base.queue, done=duties.job_changed, clock=base.now, poll=_REPORT_EVERY
        )

    def _check(self, spec: JobSpec) -> None:
        settings.check_job(self._base.config, spec)

    async def _complete(self, spec: JobSpec) -> JobSpec:
        """Return a job with what its set adds; refuse one whose sender is not verified."""
        config = self._base.config
        if config.identities.require:
            address = parse_mailbox(spec.sender).address.spec
            if not await self._base.identities.covers(address):
                raise RefusedError(
                    f"the From address {address} is not verified",
                    where="from",
                    remedy=f"ekiden identities add {address}; ekiden identities verify {address}",
                )
        return settings.completed(config, spec)

    async def _find_template(self, reference: str) -> StoredTemplate:
        return await self._base.templates.find(parse_reference(reference))

    async def _judge(self, job: NewJob, rows: Sequence[NewDelivery]) -> None:
        if self._base.config.lint.refuse != "never":
            # Lint is much to load for those who do not let it decide.
            from ekiden.preview.judgement import judge  # noqa: PLC0415 - see above

            await judge(self._base.config, job, rows, now=self._base.now())

    async def _refused(self, name: str, error: EkidenError) -> None:
        """Tell whoever reads events of a file in the spool that was refused."""
        await self._events.alert(f"{SPOOL}{name}", printable(str(error), 1000))
