"""What follows from an outcome: one table, one place. Pure.

`decide` answers for the delivery, `lesson` for the path. Both read the outcome and the verdict of
`bounce/` and nothing else; the caller applies the decision in one transaction and passes the lesson
to the scheduler. The rows, in the order they are asked:

| outcome | decision |
|---|---|
| 2xx after the dot | Delivered |
| no such domain, null MX (RFC 7505), 521 and 556 (RFC 7504) | Bounce, suppress |
| the receiver lacks what the message needs (SMTPUTF8, SIZE) | Bounce |
| broke after the dot | in doubt: RetryAt by policy, at most `doubts_max` times, else Hold |
| broke on our own side | RetryAt |
| broke otherwise; other rejection before MAIL; 421 | NextHost, finally RetryAt |
| 4xx | RetryAt, that recipient only |
| 5xx: the mailbox does not exist | Bounce, suppress |
| the session has carried as many as it may | RetryAt, within a minute |
| 5xx: full, busy, rate, our IP's reputation | RetryAt |
| 5xx: authentication, content, policy, unknown | Bounce, never suppress |
| any RetryAt past the delivery's end | Expire |

Two departures from a reading by code alone. A reply that says *slow down* or *you are blocked* is
never answered by trying the next host of the same receiver: that would be pushing. And a 4xx never
suppresses at once, whatever its words: `soft` lets the queue count it towards a suppression.
"""

from dataclasses import dataclass

import msgspec

from ekiden.bounce.model import Action, Verdict
from ekiden.shaping.window import Lesson
from ekiden.smtp.outcome import Accepted, Broke, Cause, Outcome, Rejected, Stage


class Delivered(msgspec.Struct, frozen=True, gc=False):
    """The receiver has it."""


class NextHost(msgspec.Struct, frozen=True, gc=False):
    """Try the next MX host of the same site, in the same attempt."""


class RetryAt(msgspec.Struct, frozen=True, gc=False):
    """Try again, not before `at` (UNIX seconds).

    Args:
        at: The earliest time of the next attempt.
        soft: It counts towards the suppression by repeated soft bounces.
        in_doubt: The message may have arrived; the next attempt can make a duplicate.
    """

    at: float
    soft: bool = False
    in_doubt: bool = False


class Bounce(msgspec.Struct, frozen=True, gc=False):
    """Never deliverable.

    Args:
        suppress: Whether the address is not mailed again by any job.
        soft: It counts towards the suppression by repeated soft bounces.
    """

    suppress: bool
    soft: bool = False


class Expire(msgspec.Struct, frozen=True, gc=False):
    """It would be retried past its end.

    Args:
        in_doubt: The message may have arrived all the same.
    """

    in_doubt: bool = False


class Hold(msgspec.Struct, frozen=True, gc=False):
    """In doubt, and not to be sent again without a person."""


Decision = Delivered | NextHost | RetryAt | Bounce | Expire | Hold


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to try again.

    Args:
        waits: Seconds after the first, second, ... attempt; the last one repeats.
        jitter: The share of itself that a wait is lengthened by at most: what failed together must
            not come back together.
        in_doubt_resend: Send again what may have arrived (True), or hold it (False).
        doubts_max: After so many doubtful attempts it is held in any case.
    """

    waits: tuple[float, ...]
    jitter: float = 0.1
    in_doubt_resend: bool = True
    doubts_max: int = 3

    def wait(self, attempts: int, jitter: float) -> float:
        """Return the seconds to wait after the `attempts`-th attempt.

        Args:
            attempts: How many have been made, this one included (from 1).
            jitter: A random number from 0 to 1; 0 gives the wait as configured.
        """
        base = self.waits[min(max(attempts, 1), len(self.waits)) - 1]
        return base * (1.0 + self.jitter * jitter)


class Facts(msgspec.Struct, frozen=True, gc=False):
    """What the table needs to know of the delivery.

    Args:
        attempts: Attempts made, this one included.
        doubts: How many of the earlier ones ended in doubt.
        expires_at: The end of its lifetime or its deadline (UNIX seconds).
        hosts_left: Whether the site has an MX host that this attempt has not tried.
    """

    attempts: int
    doubts: int
    expires_at: float
    hosts_left: bool = False


_BAD_DOMAIN = frozenset({Cause.NO_SUCH_DOMAIN, Cause.NULL_MX})
# The receiver, not the recipient, is the matter: another of its hosts would be told the same.
_SLOW_DOWN = frozenset({Action.THROTTLE_DESTINATION, Action.BLOCKED_REPUTATION})
_ENOUGH = "session_limit"  # the class that asks for another session, and for nothing else
_NEXT_SESSION = 60.0  # seconds at most until what met it is tried again
# A 5xx with one of these is worth another try: the state it names passes.
_PASSES = frozenset({Action.RETRY_LATER, Action.MAILBOX_FULL_RETRY}) | _SLOW_DOWN
# These say something about the mailbox; a greylisting or a rate limit does not.
_ABOUT_RECIPIENT = frozenset(
    {Action.SUPPRESS_RECIPIENT, Action.MAILBOX_FULL_RETRY, Action.RETRY_LATER, Action.OTHER}
)


def decide(
    outcome: Outcome,
    verdict: Verdict | None,
    facts: Facts,
    policy: RetryPolicy,
    *,
    now: float,
    jitter: float,
) -> Decision:
    """Return what happens to a delivery after an attempt.

    Args:
        outcome: What the attempt came to.
        verdict: What the reply means; None when there was no reply.
        facts: The delivery.
        policy: The retry schedule and what to do in doubt.
        now: UNIX seconds.
        jitter: A random number from 0 to 1, drawn by the caller.
    """
    wait = policy.wait(facts.attempts, jitter)
    match outcome:
        case Accepted():
            return Delivered()
        case Broke():
            decision = _broke(outcome, facts, policy, now + wait)
        case Rejected():
            decision = _rejected(outcome, _needed(verdict), facts, now, wait)
    if isinstance(decision, RetryAt) and decision.at > facts.expires_at:
        return Expire(in_doubt=decision.in_doubt)
    return decision


def _needed(verdict: Verdict | None) -> Verdict:
    if verdict is None:
        raise ValueError("a rejection is decided by its verdict: classify the reply first")
    return verdict


def _broke(outcome: Broke, facts: Facts, policy: RetryPolicy, again: float) -> Decision:
    if outcome.cause in _BAD_DOMAIN:
        return Bounce(suppress=True)
    if outcome.cause is Cause.UNSUPPORTED:
        return Bounce(suppress=False)
    if outcome.in_doubt and (not policy.in_doubt_resend or facts.doubts >= policy.doubts_max):
        return Hold()
    if facts.hosts_left and not outcome.in_doubt and outcome.cause is not Cause.LOCAL:
        return NextHost()
    return RetryAt(again, in_doubt=outcome.in_doubt)


def _rejected(
    outcome: Rejected, verdict: Verdict, facts: Facts, now: float, wait: float
) -> Decision:
    reply, stage, action = outcome.reply, outcome.stage, verdict.action
    if verdict.klass == _ENOUGH:
        wait = min(wait, _NEXT_SESSION)
    # RFC 7504 sections 3 and 4. Some receivers answer 521 to a blocked address: the words decide.
    if _accepts_no_mail(outcome) and action not in _SLOW_DOWN:
        return Bounce(suppress=True)
    if (stage.before_mail or reply.code == 421) and facts.hosts_left and action not in _SLOW_DOWN:
        return NextHost()
    if reply.temporary or stage.before_mail or action in _PASSES:
        soft = not stage.before_mail and reply.code != 421 and _counts(verdict)
        return RetryAt(now + max(wait, verdict.retry_after or 0.0), soft=soft)
    if action is Action.SUPPRESS_RECIPIENT:
        return Bounce(suppress=True)
    return Bounce(suppress=False, soft=action is Action.OTHER and stage is Stage.RCPT)


def _accepts_no_mail(outcome: Rejected) -> bool:
    at_greeting = outcome.stage in {Stage.CONNECT, Stage.EHLO}
    return outcome.reply.code == 556 or (outcome.reply.code == 521 and at_greeting)


def _counts(verdict: Verdict) -> bool:
    return verdict.action in _ABOUT_RECIPIENT and verdict.klass != "greylisted"


def lesson(outcome: Outcome, verdict: Verdict | None) -> Lesson:
    """Return what the path learns from an outcome."""
    match outcome:
        case Accepted():
            return Lesson.GOOD
        case Broke():
            quiet = outcome.cause in _BAD_DOMAIN or outcome.cause in {
                Cause.UNSUPPORTED,
                Cause.LOCAL,
            }
            return Lesson.NONE if quiet else Lesson.BROKEN
        case Rejected():
            return _lesson_of_reply(outcome, _needed(verdict))


def _lesson_of_reply(outcome: Rejected, verdict: Verdict) -> Lesson:
    match verdict.action:
        case _ if verdict.klass == _ENOUGH and not outcome.stage.before_mail:
            return Lesson.ENOUGH
        case Action.THROTTLE_DESTINATION:
            return Lesson.SLOW
        case Action.BLOCKED_REPUTATION:
            return Lesson.BLOCKED
        case Action.FIX_SENDER:
            # Retrying 100,000 messages whose key is missing in DNS would teach the receiver worse.
            return Lesson.BLOCKED
        case _ if _accepts_no_mail(outcome):
            return Lesson.NONE
        case _ if outcome.stage.before_mail or outcome.reply.code == 421:
            return Lesson.SLOW
        case _:
            return Lesson.DEFERRED if outcome.reply.temporary else Lesson.GOOD
