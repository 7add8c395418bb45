"""What one attempt came to: the only thing the engine learns from a receiver.

A rejection is a value, not an exception: a mailer meets thousands an hour. Three shapes cover all
of it, and `decide` (engine/decide.py) has one row for each:

* `Accepted`: a 2xx after the final dot; the receiver has the message and the duty (RFC 5321 6.1).
* `Rejected`: a valid reply that says no, with its stage. The stage decides as much as the
  words do.
* `Broke`: no valid reply: refused, reset, timed out, malformed, no usable DNS. After the final dot
  the message may have been taken: then it is `in_doubt`.
"""

from enum import StrEnum

import msgspec

from ekiden.smtp.reply import Reply


class Stage(StrEnum):
    """Where in the dialogue something happened, in order."""

    RESOLVE = "resolve"  # DNS: no answer, or an answer that forbids mail
    CONNECT = "connect"  # TCP and the greeting
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"  # the reply to the DATA command itself
    BODY = "body"  # the reply to the final dot (or to BDAT LAST)

    @property
    def before_mail(self) -> bool:
        """Whether no transaction had begun: such trouble is the path's, not the recipient's."""
        return self in _BEFORE_MAIL


_BEFORE_MAIL = frozenset({Stage.RESOLVE, Stage.CONNECT, Stage.EHLO, Stage.STARTTLS, Stage.AUTH})


class Cause(StrEnum):
    """Why there was no valid reply."""

    NO_SUCH_DOMAIN = "no_such_domain"  # NXDOMAIN, or neither MX nor address
    NULL_MX = "null_mx"  # RFC 7505
    DNS_FAILURE = "dns_failure"  # SERVFAIL, time-out, bogus: temporary
    FORBIDDEN_ADDRESS = "forbidden_address"  # every host resolves to private or own addresses
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    RESET = "reset"
    CLOSED = "closed"  # end of stream where a reply was due
    TLS = "tls"  # required, and not offered, failed or not trusted
    PROTOCOL = "protocol"  # a reply that RFC 5321 4.2 does not allow, or bytes after STARTTLS
    UNSUPPORTED = "unsupported"  # the message needs SMTPUTF8 or a SIZE that the receiver has not
    LOCAL = "local"  # our own side: source address missing, no descriptors, rendering or signing


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The receiver took the message."""

    reply: Reply


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """The receiver said no, with a valid reply."""

    stage: Stage
    reply: Reply


class Broke(msgspec.Struct, frozen=True, gc=False):
    """There was no valid reply.

    Args:
        stage: Where it broke.
        cause: The kind of failure.
        detail: Printable text for people: errno text, the malformed line, the DNS answer.
        in_doubt: The final dot (or BDAT LAST) was written and no reply seen: it may be delivered.
    """

    stage: Stage
    cause: Cause
    detail: str = ""
    in_doubt: bool = False


Outcome = Accepted | Rejected | Broke
