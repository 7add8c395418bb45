"""Bounces that are no RFC 3464 report: who could not be reached, and the words about each. Pure.

qmail, Exim, old Postfix, Exchange, Domino, OpenSMTPD, the carriers' gateways and many more write
prose. It has one shape in common: the address stands at the beginning of a line or ends a sentence
about delivery, and what follows it, up to the next address or the copy of the message, is why. That
shape is what is read here, not each product's wording.
"""

import re
from dataclasses import dataclass
from typing import Final

TEXT_CAP: Final = 32_768
LINES: Final = 600
BLOCK_CAP: Final = 1800
RECIPIENTS: Final = 100

_A: Final = r"[^\s<>()\[\]\",;:'`*|=]{1,64}@[A-Za-z0-9\-_]{1,63}(?:\.[A-Za-z0-9\-_]{1,63}){0,8}"
_ALONE: Final = re.compile(rf"^[\s*>\-]{{0,40}}[\"'<(\[]{{0,2}}({_A})[\"'>)\]]{{0,2}}[\s.,;]*$")
_WITH_COLON: Final = re.compile(rf"^[\s*>\-]{{0,40}}[\"'<]?({_A})[\"'>]?\s{{0,2}}:\s?(.*)$")
_WITH_DATE: Final = re.compile(rf"^\s{{0,40}}[\"'<]?({_A})[\"'>]?,? +on +\S.{{0,60}}\d.*$")
_WITH_TEXT: Final = re.compile(
    rf"^[\s*>\-]{{0,40}}<?({_A})>?\s{{0,3}}(\.\.\.|[\[(,\-]|\s)\s?(\S.*)$"
)
_AFTER_CODE: Final = re.compile(
    rf"^\s*([245]\d\d\s(?:\S{{5,11}}\s)?)<?({_A})>?(?:\.\.\.|:|,)\s*(.*)$"
)
_IN_SENTENCE: Final = re.compile(
    r"\b(?:to|recipient|recipients|address|mailbox|user|reach|attempts|for|deliver|delivering|errors"
    r"|rcpt to|not found|收件人|收信人|宛先|empfänger|destinataire|destinatario|получател\w{0,3})"
    rf"\W{{1,4}}(?:the )?(?:address |recipient |user )?[\"'<]{{0,2}}({_A})",
    re.IGNORECASE,
)
_FAILURE: Final = re.compile(
    r"deliver|fail|undeliver|error|reach|reject|unknown|returned|invalid|not found|refus|bounce"
    r"|届|配信|送信|エラー|zugestellt|entregar|remis|consegn",
    re.IGNORECASE,
)
# Where the copy of the message begins, or where prose ends.
_COPY: Final = re.compile(
    r"^(?:[\s\-=*|>#.]*(?:below this line is|this is a copy|the header of the original|"
    r"message headers? follow|header(?:s)? of (?:the )?original|(?:the )?original (?:message|mail)"
    r"(?! was (?:received|sent))(?: \w+){0,3}(?:[\s:.\-]|$)|message text follows|"
    r"returned (?:message|mail)|unsent message|"
    r"a copy of (?:the|your) (?:original|message)|included is a copy|below is a copy|"
    r"forwarded message|your original message|"
    r"undelivered (?:message|mail)|message header(?:s)?:|message contents?|copy of the message|"
    r"the following is a copy|non-?delivered (?:message|mail) follows|reporting-mta:)"
    r"|(?:Received|Return-Path|X-Received|DKIM-Signature|Message-ID):\s?\S)",
    re.IGNORECASE,
)
_NOT_RECIPIENT: Final = re.compile(
    r"^\s*(?:from|to|cc|sender|reply-to|message-id|subject|date|sent|original sender|mail from|"
    r"return-path|contact|postmaster|envelope-from)\s*:",
    re.IGNORECASE,
)
_ROLE: Final = re.compile(
    r"^(?:mailer-daemon|postmaster|mail-daemon|root|abuse|support|help|noreply|no-reply)@",
    re.IGNORECASE,
)
_NOISE: Final = re.compile(
    r"^\s*(?:giving up on [\d.]+\.?|i'?m afraid|this is a permanent error|sorry it didn'?t)[^\n]*$",
    re.IGNORECASE,
)
# Section titles and what a mailer always says carry no reason.
_RULER: Final = re.compile(
    r"^\s*(?:[-=*_|]{3,}.*|SMTP command|(?:MAIL|RCPT|DATA|EHLO)|"
    r"the original message was received at.*|from \S+(?: \[\S+\])?)\s*$",
    re.IGNORECASE,
)
_REPLY: Final = re.compile(
    r"^\s*(?:<<<\s*)?[245]\d\d[\s-]|[<>]{3,4}\s*[245]\d\d[\s-]"
    r"|\b(?:said|reason|error|diagnostic code):\s*\S",
    re.IGNORECASE,
)
_QUOTED_REPLY: Final = re.compile(r"(?<![\w.])[45]\d\d[ -](?:#?[45]\.\d\.\d|[A-Za-z<])")
_QUOTE: Final = re.compile(r"^(?:> ?){1,3}")


@dataclass(frozen=True, slots=True)
class Block:
    """A recipient and what is said about it.

    Args:
        address: The recipient.
        text: The words after it, on one line.
    """

    address: str
    text: str


@dataclass(frozen=True, slots=True)
class Prose:
    """A free-text report, read.

    Args:
        blocks: The recipients, in order.
        preamble: What stands before the first of them, on one line.
        text: All up to the copy of the message.
        rest: The copy of the message.
    """

    blocks: tuple[Block, ...]
    preamble: str
    text: str
    rest: str


def read(text: str, *, exclude: frozenset[str] = frozenset()) -> Prose:
    """Read a report's prose.

    Args:
        text: The text part.
        exclude: Addresses (lower case) that are not recipients: the sender's own.
    """
    lines, rest = _prose(text[:TEXT_CAP])
    found: list[tuple[str, list[str]]] = []
    preamble: list[str] = []
    since = preamble  # where the lines go that stand after the last recipient
    folded = preamble  # where an indented one goes: it may go on with the line before it
    for line in lines:
        head = _head(line, exclude)
        if head is None or len(found) >= RECIPIENTS:
            since = folded if line[:1] in {" ", "\t"} else since
            since.append(line)
            folded = since
            continue
        address, words, ends_dialogue = head
        if ends_dialogue:
            found.append((address, [*_dialogue(since), words]))
            since, folded = [], found[-1][1]
        else:
            found.append((address, [words]))
            since = folded = found[-1][1]
    if not found:
        found, preamble = _in_sentences(lines, exclude), []
    return Prose(_merged(found), _one_line(preamble), "\n".join(lines), rest)


def says_failure(text: str) -> bool:
    """Whether the prose speaks of a delivery that failed."""
    return _FAILURE.search(text[:TEXT_CAP]) is not None


def reason(text: str) -> str:
    """Return on one line what gives the reason: replies, else all but titles and greetings."""
    lines = text.split("\n")
    replies = [line for line in lines if _REPLY.search(line)]
    coded = [line for line in replies if has_reply(line)]
    return _one_line(coded or replies or lines)


def has_reply(text: str) -> bool:
    """Whether the words quote an SMTP reply."""
    return _QUOTED_REPLY.search(text) is not None


def _prose(text: str) -> tuple[list[str], str]:
    """The lines of the report itself without quote marks, and the copy of the message."""
    lines = text.replace("\r", "").split("\n")[:LINES]
    quoted = sum(line.startswith(">") for line in lines)
    if quoted * 2 > len(lines):
        lines = [_QUOTE.sub("", line) for line in lines]
    for number, line in enumerate(lines):
        if number and _COPY.match(line[:200]):
            # An inline report's own fields look like a copy: keep what says why.
            return [one for one in lines[:number] if not _NOISE.match(one)], "\n".join(
                lines[number:]
            )
    return [one for one in lines if not _NOISE.match(one)], ""


def _dialogue(lines: list[str]) -> list[str]:
    """The lines since the last recipient: in a transcript they precede what they explain."""
    return [line for line in lines if not line.lstrip().startswith(("-----", ">>>"))]


def _head(line: str, exclude: frozenset[str]) -> tuple[str, str, bool] | None:
    """The recipient that this line opens, the words after it, and whether it ends a dialogue."""
    line = line[:1000]
    if "@" not in line or _NOT_RECIPIENT.match(line):
        return None
    for pattern in (_ALONE, _WITH_COLON, _WITH_DATE, _AFTER_CODE, _WITH_TEXT):
        found = pattern.match(line)
        if found is None:
            continue
        groups = found.groups()
        if pattern is _AFTER_CODE:
            address, words = groups[1], f"{groups[0]} {groups[2]}"
        else:
            address, words = groups[0], groups[-1] if len(groups) > 1 else ""
        address = address.rstrip(".")
        if address.lower() in exclude or _ROLE.match(address):
            return None
        return address, words or "", pattern is _AFTER_CODE
    return None


def _in_sentences(lines: list[str], exclude: frozenset[str]) -> list[tuple[str, list[str]]]:
    """No line begins with an address: take those that a sentence about delivery names."""
    failed = _FAILURE.search(" ".join(lines)[:8000])
    for number, line in enumerate(lines):
        if "@" not in line or _NOT_RECIPIENT.match(line):
            continue
        found = _IN_SENTENCE.search(line[:1000])
        if found and failed:
            address = found.group(1).rstrip(".")
            if address.lower() not in exclude and not _ROLE.match(address):
                rest = [*lines[:number], line.replace(address, ""), *lines[number + 1 :]]
                return [(address, [reason("\n".join(rest))])]
    return []


def _merged(found: list[tuple[str, list[str]]]) -> tuple[Block, ...]:
    """One block for each address; words said twice about it are put together."""
    texts: dict[str, str] = {}
    names: dict[str, str] = {}
    for address, lines in found:
        key = address.lower()
        names.setdefault(key, address)
        texts[key] = f"{texts.get(key, '')} {_one_line(lines)}".strip()[:BLOCK_CAP]
    # A list of addresses, each without words, shares the words that follow the last one.
    shared = next((text for text in reversed(texts.values()) if text), "")
    return tuple(Block(names[key], text or shared) for key, text in texts.items())


def _one_line(lines: list[str]) -> str:
    kept = (line for line in lines if not _RULER.match(line))
    return " ".join(" ".join(kept).split())[:BLOCK_CAP]
