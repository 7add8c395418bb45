"""One mail transaction as a state machine: what to write, and what each reply means.

Theory. A transaction is a short list of commands whose replies come back in the order of the
commands (RFC 5321 section 4.5.1, RFC 2920 section 3.1). The machine keeps the steps whose replies
are still owed, oldest first, and does one thing per reply: settle the outcome, or go on. Three
shapes of dialogue:

```
PIPELINING:              [RSET] MAIL RCPT DATA ->   <- replies;   content . ->            <- reply
CHUNKING + PIPELINING:   [RSET] MAIL RCPT BDAT content ->                                 <- replies
neither:                 each command alone, its reply awaited
```

The outcome is the recipient's; it can be settled before the dialogue is over: after a refused RCPT
the reply to the pipelined DATA is still owed, and if it is 354 the content must be ended by a lone
dot (RFC 2920 section 3.1: "the client SHOULD send a single dot"). A transaction is `finished` when
nothing is owed, and leaves behind whether the next one must begin with RSET (`reset_due`) and
whether there may be a next one (`session_over`).

In doubt. From the moment the last octet of the content has been handed to the transport
(`content_sent`) until its reply, the receiver may have taken the message: whatever breaks then is
`Broke(BODY, ..., in_doubt=True)`. Nothing is ever written past the final dot or the BDAT content.

Contract: `begin`, then `start` once, then `receive` for each reply; the caller writes the bytes
they return, in order, and calls `content_sent` when those of `content_due` have all been handed
over. When no (valid) reply comes, `lost` gives the outcome. Foreign input raises nothing.
"""

from collections import deque
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Final

from ekiden import limits
from ekiden.smtp.content import END, UnsendableError, checked, stuffed
from ekiden.smtp.ehlo import Extensions
from ekiden.smtp.envelope import Envelope, path
from ekiden.smtp.outcome import Accepted, Broke, Cause, Outcome, Rejected, Stage
from ekiden.smtp.reply import Reply


class Step(IntEnum):
    """A command whose reply is owed; the order is that of `_STAGES` and `_HANDLERS`."""

    RSET = 0
    MAIL = 1
    RCPT = 2
    DATA = 3
    DOT = 4
    LONE_DOT = 5
    BDAT = 6


_STAGES: Final = (
    Stage.MAIL,  # RSET prepares for MAIL
    Stage.MAIL,
    Stage.RCPT,
    Stage.DATA,
    Stage.BODY,
    Stage.DATA,
    Stage.BODY,
)
# Looked up once: in CPython 3.11 a member of an enumeration costs twenty times a global.
_PIPELINED: Final = (Step.MAIL, Step.RCPT, Step.DATA)
_ONE_TRIP: Final = (Step.MAIL, Step.RCPT, Step.BDAT)


def begin(
    extensions: Extensions,
    envelope: Envelope,
    message: bytes | Sequence[bytes],
    *,
    reset: bool = False,
    chunking: bool = False,
) -> "Transaction | Broke":
    """Check what can be checked before a byte is sent, and return the transaction.

    Args:
        extensions: What the receiver offered.
        envelope: Sender and recipient.
        message: The content, CRLF line ends, whole or in pieces.
        reset: The transaction before failed: begin with RSET.
        chunking: Use BDAT where the receiver offers both CHUNKING and PIPELINING.

    Returns:
        The transaction, or why it cannot be: `LOCAL` for what we must not send, `UNSUPPORTED` for
        what this receiver says it cannot take. The session stays good either way.
    """
    try:
        content = checked(message)
        sender = path(envelope.mail_from) if envelope.mail_from else b""
        recipient = path(envelope.recipient)
    except UnsendableError as error:
        return Broke(Stage.MAIL, Cause.LOCAL, str(error))
    smtputf8 = envelope.smtputf8 or not (sender.isascii() and recipient.isascii())
    if smtputf8 and not extensions.smtputf8:  # RFC 6531 section 3.2
        return Broke(Stage.MAIL, Cause.UNSUPPORTED, "the receiver does not offer SMTPUTF8")
    # What is declared matters less than what is there: an 8-bit byte in a 7-bit body is garbled.
    eight_bit = envelope.eight_bit or not content.isascii()
    if eight_bit and not extensions.eight_bit_mime:  # RFC 6152 section 3
        return Broke(Stage.MAIL, Cause.UNSUPPORTED, "the receiver does not offer 8BITMIME")
    size = envelope.size or len(content)
    if extensions.size and size > extensions.size:  # RFC 1870 section 6.1
        return Broke(
            Stage.MAIL,
            Cause.UNSUPPORTED,
            f"the message has {size} bytes, the receiver takes {extensions.size}",
        )
    mail = b"MAIL FROM:<%b>" % sender
    if extensions.size is not None:
        mail += b" SIZE=%d" % size
    if eight_bit:
        mail += b" BODY=8BITMIME"
    if smtputf8:
        mail += b" SMTPUTF8"
    # One round trip sends the content before RCPT is answered: worth it only for a small one.
    one_trip = (
        chunking
        and extensions.chunking
        and extensions.pipelining
        and len(content) <= limits.BDAT_PIPELINED_BYTES
    )
    return Transaction(
        mail + b"\r\n",
        b"RCPT TO:<%b>\r\n" % recipient,
        content,
        pipelining=extensions.pipelining,
        one_trip=one_trip,
        reset=reset,
    )


class Transaction:
    """One transaction with one recipient; made by `begin`.

    Attributes:
        outcome: What became of the recipient, as soon as it is known.
        finished: Nothing is owed and nothing is to be written.
        reset_due: The next transaction on this session must begin with RSET.
        session_over: The session must not be used again.
        content_due: The bytes last returned carry the whole content and its end.
    """

    __slots__ = (
        "_at",
        "_content",
        "_content_handed_over",
        "_mail",
        "_one_trip",
        "_owed",
        "_pipelining",
        "_rcpt",
        "_rcpt_taken",
        "_reset",
        "content_due",
        "finished",
        "outcome",
        "reset_due",
        "session_over",
    )

    def __init__(
        self,
        mail: bytes,
        rcpt: bytes,
        content: bytes,
        *,
        pipelining: bool,
        one_trip: bool,
        reset: bool,
    ) -> None:
        self._mail = mail
        self._rcpt = rcpt
        self._content = content
        self._pipelining = pipelining
        self._one_trip = one_trip
        self._reset = reset
        self._owed: deque[Step] = deque()
        self._at = Stage.MAIL  # the stage of the reply that was taken last
        self._rcpt_taken = False
        self._content_handed_over = False
        self.outcome: Outcome | None = None
        self.finished = False
        self.reset_due = False
        self.session_over = False
        self.content_due = False

    @property
    def step(self) -> Step | None:
        """The command whose reply is owed next."""
        return self._owed[0] if self._owed else None

    @property
    def stage(self) -> Stage:
        """Where the dialogue is: the stage of the reply that is owed next."""
        return _STAGES[self._owed[0]] if self._owed else Stage.MAIL

    def start(self) -> bytes:
        """Return the first bytes to write."""
        if self._one_trip:
            flight = b"%bBDAT %d LAST\r\n%b" % (self._rcpt, len(self._content), self._content)
            steps = _ONE_TRIP
            self.content_due = True
        elif self._pipelining:
            flight = self._rcpt + b"DATA\r\n"  # DATA ends a group (RFC 2920 section 3.1)
            steps = _PIPELINED
        elif self._reset:
            self._owed.append(Step.RSET)
            return b"RSET\r\n"
        else:
            self._owed.append(Step.MAIL)
            return self._mail
        if self._reset:
            self._owed.append(Step.RSET)
            flight = b"RSET\r\n" + self._mail + flight
        else:
            flight = self._mail + flight
        self._owed.extend(steps)
        return flight

    def content_sent(self) -> None:
        """Note that the last octet of the content was handed to the transport."""
        self.content_due = False
        self._content_handed_over = True
        self._content = b""  # not needed again; a session waits minutes for the reply

    def receive(self, reply: Reply) -> bytes:
        """Take the next reply.

        Returns:
            What to write now; empty when nothing is.
        """
        if not self._owed:
            self._violated("a reply to no command")
            return b""
        step = self._owed.popleft()
        self._at = _STAGES[step]
        if reply.code == 421:
            # RFC 5321 section 3.8: it may answer any command, and the connection closes after it.
            self._settle(Rejected(self._at, reply))
            self._end_session()
            return b""
        if self.content_due and step in _CONTENT_STEPS:
            return self._early(reply)
        return _HANDLERS[step](self, reply)

    def lost(self, cause: Cause, detail: str) -> Outcome:
        """Return the outcome when no (valid) reply will come; the session is over.

        Args:
            cause: Why.
            detail: Printable text for people.
        """
        return self._break(self.stage, cause, detail)

    # --- one handler per step ----------------------------------------------------------------

    def _on_rset(self, reply: Reply) -> bytes:
        if reply.code // 100 != 2:
            # What the receiver still holds is unknown; sending on might add this recipient to the
            # message before.
            self._violated(f"RSET was answered {reply.code}")
        elif not self._owed:
            self._owed.append(Step.MAIL)
            return self._mail
        return b""

    def _on_mail(self, reply: Reply) -> bytes:
        self.reset_due = True
        if not self._went_well(reply):
            return b""
        if not self._owed:
            self._owed.append(Step.RCPT)
            return self._rcpt
        return b""

    def _on_rcpt(self, reply: Reply) -> bytes:
        if self.outcome is not None:
            # MAIL was refused, so this must be too; if it is not, the lone dot would deliver an
            # empty message (see _on_data).
            self._rcpt_taken = reply.code // 100 == 2
            self._finish_if_nothing_owed()
            return b""
        if not self._went_well(reply):
            return b""
        self._rcpt_taken = True
        if not self._owed:
            self._owed.append(Step.DATA)
            return b"DATA\r\n"
        return b""

    def _on_data(self, reply: Reply) -> bytes:
        kind = reply.code // 100
        if kind == 2:
            self._violated(f"DATA was answered {reply.code}")
        elif kind == 3:
            if self.outcome is None:
                self._owed.append(Step.DOT)
                self.content_due = True
                return stuffed(self._content)
            if self._rcpt_taken:
                # MAIL refused, RCPT taken, 354: a dot would send an empty message to somebody.
                self._end_session()
            else:
                self._owed.append(Step.LONE_DOT)  # RFC 2920 section 3.1
                return END
        else:
            self._settle(Rejected(Stage.DATA, reply))
            self._finish_if_nothing_owed()
        return b""

    def _on_lone_dot(self, _reply: Reply) -> bytes:
        # 554 "no valid recipients" as RFC 2920 says, or 250 for nothing: both end it.
        self._finish_if_nothing_owed()
        return b""

    def _on_content(self, reply: Reply) -> bytes:
        kind = reply.code // 100
        if kind == 3 or (kind == 2 and self.outcome is not None and self._rcpt_taken):
            # The second: MAIL refused, yet RCPT and BDAT taken. Who got it, nobody knows.
            self.outcome = None
            self._violated(f"the content was answered {reply.code}")
        elif kind == 2:
            if self.outcome is None:
                self.outcome = Accepted(reply)
                self.reset_due = False
            self._finish_if_nothing_owed()
        else:
            self._settle(Rejected(Stage.BODY, reply))
            self._finish_if_nothing_owed()
        return b""

    # --- what they share ---------------------------------------------------------------------

    def _went_well(self, reply: Reply) -> bool:
        kind = reply.code // 100
        if kind == 2:
            return True
        if kind == 3:
            self._violated(f"{self._at.value.upper()} was answered {reply.code}")
        else:
            self._settle(Rejected(self._at, reply))
            self._finish_if_nothing_owed()
        return False

    def _early(self, reply: Reply) -> bytes:
        """Take a reply to the content while it is still being written."""
        if reply.positive:
            self._violated("the content was answered before its end")
        else:
            # Too large, most often. The rest cannot be left out, so the connection must go.
            self._settle(Rejected(Stage.BODY, reply))
            self._end_session()
        return b""

    def _settle(self, outcome: Outcome) -> None:
        if self.outcome is None:  # the first refusal is the recipient's; later ones follow from it
            self.outcome = outcome

    def _finish_if_nothing_owed(self) -> None:
        self.finished = not self._owed

    def _end_session(self) -> None:
        self.session_over = True
        self.finished = True
        self._owed.clear()

    def _violated(self, detail: str) -> None:
        self._break(self._at, Cause.PROTOCOL, detail)

    def _break(self, stage: Stage, cause: Cause, detail: str) -> Outcome:
        self._end_session()
        if self.outcome is None:
            in_doubt = self._content_handed_over
            self.outcome = Broke(Stage.BODY if in_doubt else stage, cause, detail, in_doubt)
        return self.outcome


_CONTENT_STEPS: Final = frozenset({Step.DOT, Step.BDAT})
_HANDLERS: Final[tuple[Callable[[Transaction, Reply], bytes], ...]] = (
    Transaction._on_rset,  # noqa: SLF001 - the table of this class's own handlers
    Transaction._on_mail,  # noqa: SLF001
    Transaction._on_rcpt,  # noqa: SLF001
    Transaction._on_data,  # noqa: SLF001
    Transaction._on_content,  # noqa: SLF001
    Transaction._on_lone_dot,  # noqa: SLF001
    Transaction._on_content,  # noqa: SLF001
)
