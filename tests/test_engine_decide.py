"""The decision table of docs/flow.md, row by row, and the retry schedule as a whole list."""

import pytest

from ekiden.bounce.model import Action, Verdict
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
from ekiden.shaping.window import Lesson
from ekiden.smtp.outcome import Accepted, Broke, Cause, Outcome, Rejected, Stage
from ekiden.smtp.reply import Reply

NOW = 1_700_000_000.0
HOUR = 3600.0
POLICY = RetryPolicy(waits=(600.0, HOUR, 4 * HOUR))
AGAIN = RetryAt(NOW + 600.0)
AGAIN_SOFT = RetryAt(NOW + 600.0, soft=True)
A = Action


def verdict(action: Action, *, klass: str = "x", retry_after: float | None = None) -> Verdict:
    return Verdict(
        klass=klass, action=action, rule="test", provider="", why="", retry_after=retry_after
    )


def ask(
    outcome: Outcome,
    action: Action | None = None,
    *,
    klass: str = "x",
    retry_after: float | None = None,
    policy: RetryPolicy = POLICY,
    **facts: object,
) -> Decision:
    values: dict[str, object] = {"attempts": 1, "doubts": 0, "expires_at": NOW + 72 * HOUR} | facts
    return decide(
        outcome,
        None if action is None else verdict(action, klass=klass, retry_after=retry_after),
        Facts(**values),  # type: ignore[arg-type]  # a test's shorthand: named and few
        policy,
        now=NOW,
        jitter=0.0,
    )


def no(stage: Stage, code: int, text: str = "") -> Rejected:
    return Rejected(stage, Reply(code, text))


ROWS: list[tuple[str, Decision, Decision]] = [
    ("2xx after the dot", ask(Accepted(Reply(250, "ok"))), Delivered()),
    ("no such domain", ask(Broke(Stage.RESOLVE, Cause.NO_SUCH_DOMAIN)), Bounce(suppress=True)),
    ("null MX", ask(Broke(Stage.RESOLVE, Cause.NULL_MX)), Bounce(suppress=True)),
    ("521 in the greeting", ask(no(Stage.CONNECT, 521), A.OTHER), Bounce(suppress=True)),
    ("556 at RCPT", ask(no(Stage.RCPT, 556), A.OTHER), Bounce(suppress=True)),
    ("521 that blocks our IP", ask(no(Stage.CONNECT, 521), A.BLOCKED_REPUTATION), AGAIN),
    ("DNS fails", ask(Broke(Stage.RESOLVE, Cause.DNS_FAILURE)), AGAIN),
    ("refused, more hosts", ask(Broke(Stage.CONNECT, Cause.REFUSED), hosts_left=True), NextHost()),
    ("refused, last host", ask(Broke(Stage.CONNECT, Cause.REFUSED)), AGAIN),
    ("TLS required, not had", ask(Broke(Stage.STARTTLS, Cause.TLS), hosts_left=True), NextHost()),
    ("5xx greeting, more hosts", ask(no(Stage.CONNECT, 554), A.OTHER, hosts_left=True), NextHost()),
    ("5xx greeting, last host", ask(no(Stage.CONNECT, 554), A.OTHER), AGAIN),
    ("421 at RCPT", ask(no(Stage.RCPT, 421), A.RETRY_LATER, hosts_left=True), NextHost()),
    ("421 at RCPT, last host", ask(no(Stage.RCPT, 421), A.RETRY_LATER), AGAIN),
    (
        "421 slow down: no pushing",
        ask(no(Stage.MAIL, 421), A.THROTTLE_DESTINATION, hosts_left=True),
        AGAIN,
    ),
    ("450 at RCPT", ask(no(Stage.RCPT, 450), A.RETRY_LATER, hosts_left=True), AGAIN_SOFT),
    ("450 greylisted", ask(no(Stage.RCPT, 450), A.RETRY_LATER, klass="greylisted"), AGAIN),
    ("450 user unknown", ask(no(Stage.RCPT, 450), A.SUPPRESS_RECIPIENT), AGAIN_SOFT),
    ("451 at the dot", ask(no(Stage.BODY, 451), A.THROTTLE_DESTINATION), AGAIN),
    ("552 too many recipients", ask(no(Stage.RCPT, 552), A.RETRY_LATER), AGAIN_SOFT),
    ("5xx unknown mailbox", ask(no(Stage.RCPT, 550), A.SUPPRESS_RECIPIENT), Bounce(suppress=True)),
    ("5xx full", ask(no(Stage.RCPT, 552), A.MAILBOX_FULL_RETRY), AGAIN_SOFT),
    ("5xx our IP", ask(no(Stage.RCPT, 550), A.BLOCKED_REPUTATION), AGAIN),
    ("5xx rate", ask(no(Stage.RCPT, 550), A.THROTTLE_DESTINATION), AGAIN),
    ("5xx authentication", ask(no(Stage.BODY, 550), A.FIX_SENDER), Bounce(suppress=False)),
    ("5xx content", ask(no(Stage.BODY, 554), A.CONTENT_REJECTED), Bounce(suppress=False)),
    ("5xx unread", ask(no(Stage.RCPT, 550), A.OTHER), Bounce(suppress=False, soft=True)),
    ("no SMTPUTF8 there", ask(Broke(Stage.MAIL, Cause.UNSUPPORTED)), Bounce(suppress=False)),
    ("broke before the dot", ask(Broke(Stage.DATA, Cause.RESET), hosts_left=True), NextHost()),
    ("broke before, last host", ask(Broke(Stage.DATA, Cause.TIMED_OUT)), AGAIN),
    (
        "broke after the dot: never the next host",
        ask(Broke(Stage.BODY, Cause.RESET, in_doubt=True), hosts_left=True),
        RetryAt(NOW + 600.0, in_doubt=True),
    ),
    (
        "broke after the dot, a fourth time",
        ask(Broke(Stage.BODY, Cause.RESET, in_doubt=True), doubts=3),
        Hold(),
    ),
    (
        "broke after the dot, policy hold",
        ask(
            Broke(Stage.BODY, Cause.CLOSED, in_doubt=True),
            policy=RetryPolicy((600.0,), in_doubt_resend=False),
        ),
        Hold(),
    ),
    ("our own side", ask(Broke(Stage.CONNECT, Cause.LOCAL), hosts_left=True), AGAIN),
    (
        "try again in two hours",
        ask(no(Stage.RCPT, 451), A.RETRY_LATER, retry_after=2 * HOUR),
        RetryAt(NOW + 2 * HOUR, soft=True),
    ),
    (
        "try again in a second: the schedule is longer",
        ask(no(Stage.RCPT, 451), A.RETRY_LATER, retry_after=1.0),
        AGAIN_SOFT,
    ),
    ("past its end", ask(no(Stage.RCPT, 451), A.RETRY_LATER, expires_at=NOW + 599), Expire()),
    (
        "past its end, in doubt",
        ask(Broke(Stage.BODY, Cause.RESET, in_doubt=True), expires_at=NOW),
        Expire(in_doubt=True),
    ),
]


@pytest.mark.parametrize(("got", "want"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_the_decision_table(got: Decision, want: Decision) -> None:
    assert got == want


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("code", [421, 450, 451, 452])
def test_a_temporary_reply_never_suppresses(action: Action, stage: Stage, code: int) -> None:
    decision = ask(no(stage, code), action)
    assert not (isinstance(decision, Bounce) and decision.suppress)


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.BODY])
def test_only_a_missing_mailbox_suppresses_after_the_greeting(action: Action, stage: Stage) -> None:
    decision = ask(no(stage, 550), action)
    suppressed = isinstance(decision, Bounce) and decision.suppress
    assert suppressed == (action is Action.SUPPRESS_RECIPIENT)


def test_the_whole_retry_schedule() -> None:
    policy = RetryPolicy((300.0, 900.0, 3600.0), jitter=0.2)
    assert [policy.wait(n, 0.0) for n in range(1, 6)] == [300, 900, 3600, 3600, 3600]
    assert [policy.wait(1, j) for j in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([300, 315, 330, 360])


LESSONS = [
    (Accepted(Reply(250, "")), None, Lesson.GOOD),
    (no(Stage.RCPT, 550), A.SUPPRESS_RECIPIENT, Lesson.GOOD),
    (no(Stage.RCPT, 451), A.RETRY_LATER, Lesson.DEFERRED),
    (no(Stage.MAIL, 451), A.THROTTLE_DESTINATION, Lesson.SLOW),
    (no(Stage.CONNECT, 421), A.OTHER, Lesson.SLOW),
    (no(Stage.RCPT, 554), A.BLOCKED_REPUTATION, Lesson.BLOCKED),
    (no(Stage.BODY, 550), A.FIX_SENDER, Lesson.BLOCKED),
    (no(Stage.CONNECT, 521), A.OTHER, Lesson.NONE),
    (Broke(Stage.CONNECT, Cause.TIMED_OUT), None, Lesson.BROKEN),
    (Broke(Stage.BODY, Cause.RESET, in_doubt=True), None, Lesson.BROKEN),
    (Broke(Stage.RESOLVE, Cause.NULL_MX), None, Lesson.NONE),
    (Broke(Stage.CONNECT, Cause.LOCAL), None, Lesson.NONE),
]


@pytest.mark.parametrize(("outcome", "action", "want"), LESSONS)
def test_what_the_path_learns(outcome: Outcome, action: Action | None, want: Lesson) -> None:
    assert lesson(outcome, None if action is None else verdict(action)) is want
