"""From an outcome to what is written and learnt: reply, verdict, decision, settlement.

The meaning is decided in `bounce/` and `decide`; this module only carries it into the queue's and
the scheduler's words, in one place, so that no courier invents its own. It writes nothing itself:
the settlement goes to whoever was given as `settle`.
"""

from collections.abc import Callable, Mapping

import msgspec

from ekiden.bounce.classify import Classifier
from ekiden.bounce.model import Action, ReplyContext, Verdict
from ekiden.engine.composer import Unrenderable
from ekiden.engine.decide import (
    Bounce,
    Decision,
    Delivered,
    Expire,
    Facts,
    Hold,
    NextHost,
    RetryAt,
    RetryPolicy,
    decide,
    lesson,
)
from ekiden.queue.model import Attempt, Claimed, JobFacts, Settlement, State
from ekiden.shaping.window import Lesson
from ekiden.smtp.outcome import Accepted, Broke, Outcome, Rejected
from ekiden.text import printable

RENDERING_FAILURE = "rendering_failure"  # the class of a delivery whose template refused its data
HARD_BOUNCE = "hard_bounce"  # the reason of a suppression


class Journey(msgspec.Struct, frozen=True, gc=False):
    """Which way an attempt went.

    Args:
        began: When it began (UNIX seconds).
        source: The egress source's name.
        site: The site's name.
        host: The MX host's name.
        tls: The session's TLS, "" in the clear.
        size: Bytes of the message.
    """

    began: float
    source: str
    site: str
    host: str
    tls: str = ""
    size: int = 0


class Judged(msgspec.Struct, frozen=True, gc=False):
    """A verdict (None without a reply) and the decision that follows."""

    verdict: Verdict | None
    decision: Decision


_TAKEN = Judged(None, Delivered())


class Concluded(msgspec.Struct, frozen=True, gc=False):
    """What an attempt changed: for the queue, and for the path."""

    settlement: Settlement
    lesson: Lesson
    retry_after: float | None
    reason: str


class Conclusions:
    """Concludes attempts.

    Args:
        classifier: What replies mean.
        policy: The retry schedule and what to do in doubt.
        jobs: The jobs in play, by id: their deliveries' end is read there.
        now: The engine's clock.
        dice: A random number from 0 to 1.
        settle: Takes each settlement on its way to the queue.
        blocked: Hears of each reply that blocks our address or name.
        heard: Hears of each attempt that was not accepted.
        provider_of: The provider of (MX host, destination); "" leaves it to the rules to tell.
    """

    def __init__(
        self,
        classifier: Classifier,
        policy: RetryPolicy,
        jobs: Mapping[int, JobFacts],
        *,
        now: Callable[[], float],
        dice: Callable[[], float],
        settle: Callable[[Settlement], None],
        blocked: Callable[[Claimed, Verdict, Journey, str], None] = lambda *_: None,
        heard: Callable[[Claimed, Attempt, Journey], None] = lambda *_: None,
        provider_of: Callable[[str, str], str] = lambda *_: "",
    ) -> None:
        self._provider_of = provider_of
        self._classifier = classifier
        self.policy = policy
        self._jobs = jobs
        self._now = now
        self._dice = dice
        self._settle = settle
        self._blocked = blocked
        self._heard = heard

    def reconfigure(self, classifier: Classifier, policy: RetryPolicy) -> None:
        """Take over the rules and the schedule of a new configuration."""
        self._classifier = classifier
        self.policy = policy

    def judge(
        self, claimed: Claimed, outcome: Outcome, journey: Journey, *, hosts_left: bool
    ) -> Judged:
        """Return what an outcome means and what follows, without acting."""
        if isinstance(outcome, Accepted):
            return _TAKEN  # nothing to read, no schedule to ask: most attempts end here
        verdict = None
        if isinstance(outcome, Rejected):
            verdict = self._classifier.classify(
                ReplyContext(
                    reply=outcome.reply.text,
                    code=outcome.reply.code,
                    enhanced=outcome.reply.enhanced,
                    stage=outcome.stage,
                    mx=journey.host,
                    destination=claimed.destination,
                    recipient=claimed.recipient,
                    provider=self._provider_of(journey.host, claimed.destination),
                    tls=journey.tls,
                )
            )
        job = self._jobs.get(claimed.job_id)
        facts = Facts(
            attempts=claimed.attempts,
            doubts=claimed.doubts,
            expires_at=float("inf") if job is None else job.expires_at,
            hosts_left=hosts_left,
        )
        decision = decide(
            outcome, verdict, facts, self.policy, now=self._now(), jitter=self._dice()
        )
        return Judged(verdict, decision)

    def conclude(
        self, claimed: Claimed, outcome: Outcome, journey: Journey, *, hosts_left: bool
    ) -> Concluded:
        """Settle an attempt by its outcome."""
        judged = self.judge(claimed, outcome, journey, hosts_left=hosts_left)
        attempt = self._attempt(outcome, judged.verdict, journey)
        settlement = _settlement(claimed, attempt, judged.decision, self._now())
        self._settle(settlement)
        if not isinstance(outcome, Accepted):
            self._heard(claimed, attempt, journey)
        verdict = judged.verdict
        if verdict is not None and verdict.action is Action.BLOCKED_REPUTATION:
            self._blocked(claimed, verdict, journey, attempt.reply)
        return Concluded(
            settlement,
            lesson(outcome, verdict),
            None if verdict is None else verdict.retry_after,
            f"{attempt.code} {attempt.reply}" if attempt.code else attempt.reply,
        )

    def unrenderable(self, claimed: Claimed, failure: Unrenderable, journey: Journey) -> Concluded:
        """Settle a delivery that could not be made into a message: nothing was sent."""
        now = self._now()
        attempt = Attempt(
            at=journey.began,
            seconds=now - journey.began,
            source=journey.source,
            site=journey.site,
            host="",
            stage="compose",
            code=0,
            reply=printable(failure.reason),
            klass=RENDERING_FAILURE,
            rule="",
            outcome="rejected" if failure.permanent else "broke",
        )
        decision: Decision = (
            Bounce(suppress=False)
            if failure.permanent
            else RetryAt(now + self.policy.wait(claimed.attempts, self._dice()))
        )
        settlement = _settlement(claimed, attempt, decision, now)
        self._settle(settlement)
        return Concluded(settlement, Lesson.NONE, None, attempt.reply)

    def _attempt(self, outcome: Outcome, verdict: Verdict | None, journey: Journey) -> Attempt:
        code, text, stage = 0, "", ""
        match outcome:
            case Accepted(reply):
                code, text, stage, name = reply.code, reply.text, "body", "accepted"
            case Rejected(where, reply):
                code, text, stage, name = reply.code, reply.text, where.value, "rejected"
            case Broke(where, cause, detail, in_doubt):
                text = f"{cause.value}: {detail}" if detail else cause.value
                stage, name = where.value, "in_doubt" if in_doubt else "broke"
        return Attempt(
            at=journey.began,
            seconds=self._now() - journey.began,
            source=journey.source,
            site=journey.site,
            host=journey.host,
            stage=stage,
            code=code,
            reply=printable(text),
            klass=_class_of(outcome, verdict),
            rule="" if verdict is None else verdict.rule,
            outcome=name,
            tls=journey.tls,
            size=journey.size,
        )


def _class_of(outcome: Outcome, verdict: Verdict | None) -> str:
    if verdict is not None:
        return verdict.klass
    return outcome.cause.value if isinstance(outcome, Broke) else ""


def _settlement(claimed: Claimed, attempt: Attempt, decision: Decision, now: float) -> Settlement:
    """Put a decision into the queue's words."""
    match decision:
        case Delivered():
            return Settlement(claimed, State.DELIVERED, attempt=attempt)
        case Bounce(suppress, soft):
            reason = HARD_BOUNCE if suppress else ""
            return Settlement(claimed, State.BOUNCED, attempt=attempt, suppress=reason, soft=soft)
        case RetryAt(at, soft, in_doubt):
            return Settlement(
                claimed, State.READY, due_at=at, attempt=attempt, soft=soft, in_doubt=in_doubt
            )
        case Expire(in_doubt):
            return Settlement(claimed, State.EXPIRED, attempt=attempt, in_doubt=in_doubt)
        case Hold():
            return Settlement(claimed, State.HELD, attempt=attempt, in_doubt=True)
        case NextHost():
            # Only `hosts_left` can bring it here, and who passes that has a host to go to.
            return Settlement(claimed, State.READY, due_at=now, attempt=attempt)
