"""Where in the dialogue a reply came, told by the words around it. Pure.

Every mailer has its own way to say it: Sendmail copies the dialogue (`>>> DATA`, `<<< 550 ...`),
Postfix writes `(in reply to RCPT TO command)`, qmail `does not like recipient`. The Japanese
carriers' replies mean nothing without it.
"""

import re
from typing import Final

from ekiden.bounce.reading import stage_of
from ekiden.smtp.outcome import Stage

_SENT: Final = re.compile(r"^[ \t>]*>>> ?([A-Za-z]{4}[^\n]{0,300})$", re.MULTILINE)
_GOT: Final = re.compile(r"^[ \t>]*<<< ?([245]\d\d[^\n]{0,500})$", re.MULTILINE)
# DATA refused because no recipient was left: what came before it answered RCPT. A mailer that
# pipelines (RFC 2920) prints `>>> DATA` before the replies to its RCPTs have come.
_NO_RECIPIENT_LEFT: Final = re.compile(
    r"^(?:554|503)\b.{0,80}?(?:no valid recip|need rcpt|valid rcpt|no recipients)", re.IGNORECASE
)
# `after RCPT TO:<a>`, `after end of data`: Exim's way.
_AFTER: Final = r"after ((?:MAIL|RCPT|DATA|EHLO|HELO|end of data|initial connection))"
_TEXT_SENT: Final = r"for TEXT command|after I sent the message|failed after sending|end of message"
_TOLD: Final = (
    (re.compile(r"\(in reply to ([^()]{3,40})"), None),
    (re.compile(_AFTER, re.IGNORECASE), None),
    (
        re.compile(
            r"(?:after|for|to|the) (MAIL|RCPT|DATA|EHLO|HELO|STARTTLS) command", re.IGNORECASE
        ),
        None,
    ),
    (re.compile(_TEXT_SENT), Stage.BODY),
    (re.compile(r"\[(MAIL_FROM|RCPT_TO|DATA|EHLO|HELO)\]"), None),
    (re.compile(r"SMTP command\W{1,4}([A-Z]{4})"), None),
    (re.compile(r"did not like our (DATA|RCPT|MAIL|EHLO|HELO|final DATA)"), None),
    (re.compile(r"does not like recipient|recipient was rejected"), Stage.RCPT),
    (re.compile(r"but sender was rejected|does not like sender"), Stage.MAIL),
    (re.compile(r"but my name was rejected"), Stage.EHLO),
    (re.compile(r"but greeting failed|initial connection"), Stage.CONNECT),
)


def stage_told(text: str) -> Stage | None:
    """Return the stage that a mailer's own words around a reply tell; None if they do not."""
    for pattern, stage in _TOLD:
        found = pattern.search(text)
        if found is not None:
            return stage or stage_of(found.group(1))
    return None


def stage_in_dialogue(text: str, diagnostic: str) -> Stage | None:
    """Return the stage at which a copied dialogue shows the reply `diagnostic`.

    Args:
        text: A text with `>>>` and `<<<` lines.
        diagnostic: The reply to look for.
    """
    wanted = _bare(diagnostic)
    commands = [(found.start(), found.group(1)) for found in _SENT.finditer(text[:65536])][:50]
    replies = list(_GOT.finditer(text[:65536]))[:50]
    for number, found in enumerate(replies):
        got = _bare(found.group(1))
        if wanted and (got in wanted or wanted in got):
            before = [command for start, command in commands if start < found.start()]
            if before:
                stage = _of_command(before[-1])
                later = [one.group(1) for one in replies[number + 1 :]]
                pipelined = stage is Stage.DATA and any(map(_NO_RECIPIENT_LEFT.match, later))
                return Stage.RCPT if pipelined else stage
    return None


def _of_command(command: str) -> Stage | None:
    """A `.` or `DATA` that drew a refusal of the message is told as `body` by its words only."""
    return stage_of(command[:4])


def _bare(reply: str) -> str:
    return "".join(char for char in reply.lower() if char.isalnum())
