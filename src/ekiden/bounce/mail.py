"""What a returned mail is, and what it says about whom: the one door for bounce mail. Pure.

`read_report` asks, in this order, and the first that knows answers:

1. a feedback report (`arf`);
2. RFC 3464 fields in a part of their own, or pasted into the text (`dsn`), or SES's JSON
   (`notification`);
3. an automatic reply (`autoreply`), unless a mail system wrote it;
4. prose of a mail system about a recipient (`freetext`), which may be only about a delay;
5. otherwise it is `other`, and nobody is judged.

Every diagnostic goes through the same rules as live replies. Where the machine-readable part says
too little (`5.0.0`), the words about the same recipient in the text are asked too.

Contract: never raises; reads at most `mime.MAIL_CAP` bytes; names at most a hundred recipients. A
report proves nothing by itself: whoever changes state on it must verify the return address or the
identifiers in `original` first.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from ekiden.bounce import arf, dsn, freetext, mime, notification, transcript, whose
from ekiden.bounce.arf import Feedback
from ekiden.bounce.classes import CLASSES
from ekiden.bounce.classify import Classifier
from ekiden.bounce.model import Action, ReplyContext, Verdict
from ekiden.smtp.outcome import Stage
from ekiden.text import printable


class Kind(StrEnum):
    """What a returned mail is."""

    DSN = "dsn"  # somebody could not be reached
    ARF = "arf"  # somebody complained, or a receiver reports on authentication
    AUTOREPLY = "autoreply"  # a program answered; nothing follows
    DELAY = "delay"  # still being tried; nothing follows
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ReportedRecipient:
    """One recipient that a report is about.

    Args:
        address: The address that was mailed, as far as the report tells.
        status: The enhanced status code; "" if none.
        diagnostic: What was said, printable.
        stage: Where in the dialogue; None if not told.
        mta: The host that said it; "" if not told.
        verdict: What it means.
    """

    address: str
    status: str
    diagnostic: str
    stage: Stage | None
    mta: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Original:
    """What is left of the returned message's header; each "" if not returned."""

    message_id: str = ""
    ekiden_ref: str = ""
    feedback_id: str = ""
    list_unsubscribe: str = ""
    mail_from: str = ""
    sender: str = ""
    to: str = ""
    subject: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A returned mail, read.

    Args:
        kind: What it is.
        recipients: Whom it is about, in order.
        original: The returned message's identifiers.
        feedback: The complaint's fields; None unless `kind` is `arf`.
        detail: What sort of automatic reply; "" otherwise.
    """

    kind: Kind
    recipients: tuple[ReportedRecipient, ...] = ()
    original: Original = Original()
    feedback: Feedback | None = None
    detail: str = ""


# Verdicts that say no more than the code did: the text may know better.
_WEAK: Final = frozenset({"unknown", "temporary"})
_WEAK_RULES: Final = frozenset(
    {"code", "status.policy", "status.deferred_policy", "status.system", "status.network"}
)
_DONE: Final = frozenset({"delivered", "relayed", "expanded", "deliverable"})


def read_report(raw: bytes, classifier: Classifier) -> Report:
    """Read one returned mail.

    Args:
        raw: The mail as received, header and body.
        classifier: The rules for the diagnostics.
    """
    mail = whose.unwrapped(mime.parse(raw))
    text = whose.words_of(mail)
    original = _original(mail, text)
    if (feedback := arf.find(mail)) is not None:
        return _feedback(feedback, original, classifier)
    noticed = notification.find(text)
    if isinstance(noticed, Feedback):
        return _feedback(noticed, original, classifier)
    fields = noticed or _fields(mail, text)
    if fields:
        return _delivery_status(fields, text, original, classifier)
    if sort := whose.automatic(mail, text):
        return Report(Kind.AUTOREPLY, original=original, detail=sort)
    return _prose(mail, text, original, classifier)


def _fields(mail: mime.Part, text: str) -> list[dsn.Fields]:
    for part in mime.walk(mail):
        kind = part.kind
        if "delivery-status" in kind or "global-delivery" in kind:
            found = dsn.parse(part.text())
            if not found and part.parts:
                found = dsn.parse(part.parts[0].text())
            if found:
                return found
    return dsn.parse(text) if dsn.OPENING.search(text) else []


def _delivery_status(
    fields: list[dsn.Fields], text: str, original: Original, classifier: Classifier
) -> Report:
    prose = freetext.read(text)
    words = {block.address.lower(): block.text for block in prose.blocks}
    recipients = []
    for one in fields:
        if one.action in _DONE:
            recipients.append(_delivered(one))
            continue
        said = words.get(one.address.lower()) or words.get(one.final.lower()) or ""
        if not said and len(fields) == 1:
            said = freetext.reason(prose.text)
        recipients.append(_recipient(one, said, text, classifier))
    delayed = all(one.action == "delayed" for one in fields)
    return Report(Kind.DELAY if delayed else Kind.DSN, tuple(recipients), original)


def _delivered(one: dsn.Fields) -> ReportedRecipient:
    known = CLASSES["delivered"]
    verdict = Verdict(known.name, known.action, "dsn.action", "", f"reported as {one.action}")
    return ReportedRecipient(
        one.address, one.status, printable(one.diagnostic), None, one.mta, verdict
    )


def _recipient(one: dsn.Fields, said: str, text: str, classifier: Classifier) -> ReportedRecipient:
    stage = (
        transcript.stage_told(one.diagnostic)
        or transcript.stage_in_dialogue(text, one.diagnostic)
        or transcript.stage_told(said)
    )
    context = ReplyContext(
        one.diagnostic,
        enhanced=one.status,
        stage=stage,
        mx=one.mta,
        destination=one.address.rpartition("@")[2],
        recipient=one.address,
    )
    verdict = classifier.classify(context)
    if said and _is_weak(verdict):
        verdict = _better(verdict, said, context, classifier)
    return ReportedRecipient(
        one.address, one.status, printable(one.diagnostic or said), stage, one.mta, verdict
    )


def _is_weak(verdict: Verdict) -> bool:
    return verdict.rule in _WEAK_RULES or verdict.klass in _WEAK


def _better(verdict: Verdict, said: str, context: ReplyContext, classifier: Classifier) -> Verdict:
    """Ask the words around the reply too; keep the first answer if they know no more."""
    other = classifier.classify(replace(context, reply=said))
    vague = _is_weak(other) and (verdict.rule != "code" or other.klass == "unknown")
    return verdict if vague else other


def _feedback(feedback: Feedback, original: Original, classifier: Classifier) -> Report:
    del classifier  # a complaint is not a reply: its type alone says what it means
    known = CLASSES[feedback.klass]
    verdict = Verdict(known.name, known.action, "arf.type", "", known.meaning)
    addresses = feedback.recipients or tuple(filter(None, [dsn.address_in(original.to)]))
    recipients = tuple(
        ReportedRecipient(
            address, "", f"feedback: {printable(feedback.feedback_type, 60)}", None, "", verdict
        )
        for address in addresses
    )
    return Report(Kind.ARF, recipients, original, feedback)


def _prose(mail: mime.Part, text: str, original: Original, classifier: Classifier) -> Report:
    if not whose.by_system(mail):
        return Report(Kind.OTHER, original=original)
    sender = dsn.address_in(mail.headers.get("to")).lower()
    failed = tuple(
        address
        for part in mail.headers.get("x-failed-recipients").split(",")
        if (address := dsn.address_in(part))
    )[: freetext.RECIPIENTS]
    prose = freetext.read(
        text, exclude=frozenset({sender} - {one.lower() for one in failed} - {""})
    )
    blocks = _blocks(prose, failed, original, sender)
    subject = mime.unencoded(mail.headers.get("subject"))
    recipients = tuple(_of_block(block, prose, subject, classifier) for block in blocks)
    if not recipients or not whose.speaks_of_failure(mail, prose.text):
        return Report(Kind.OTHER, original=original)
    delay = whose.says_delay(f"{subject} {prose.text}")
    return Report(Kind.DELAY if delay else Kind.DSN, recipients, original)


def _blocks(
    prose: freetext.Prose, failed: tuple[str, ...], original: Original, sender: str
) -> list[freetext.Block]:
    """The recipients: those the header lists, else those the prose names, else the original To."""
    if failed:
        words = {block.address.lower(): block.text for block in prose.blocks}
        whole = freetext.reason(prose.text)
        return [freetext.Block(one, words.get(one.lower()) or whole) for one in failed]
    if prose.blocks:
        return list(prose.blocks)
    to = dsn.address_in(original.to)
    if to.lower() == sender:
        return []  # a bounce that is attached, or quoted, came to the same address
    return [freetext.Block(to, freetext.reason(prose.text))] if to else []


def _of_block(
    block: freetext.Block, prose: freetext.Prose, subject: str, classifier: Classifier
) -> ReportedRecipient:
    stage = (
        transcript.stage_told(block.text)
        or transcript.stage_in_dialogue(prose.text, block.text)
        # Elsewhere in the text it is about this recipient only if it is about nobody else.
        or (transcript.stage_told(prose.text) if len(prose.blocks) < 2 else None)
    )
    context = ReplyContext(
        block.text,
        stage=stage,
        destination=block.address.rpartition("@")[2],
        recipient=block.address,
    )
    verdict = classifier.classify(context)
    said = block.text
    if freetext.has_reply(prose.preamble) and not freetext.has_reply(said):
        said = prose.preamble
        verdict = classifier.classify(replace(context, reply=said))
    elif prose.preamble and _is_weak(verdict):
        verdict = _better(verdict, prose.preamble, context, classifier)
    if not said:
        verdict = _better(verdict, subject, context, classifier)
    return ReportedRecipient(
        block.address, dsn.status_in(said), printable(said), stage, "", verdict
    )


def _original(mail: mime.Part, text: str) -> Original:
    """The returned message's header: attached, or copied into the text."""
    for part in mime.walk(mail)[1:]:
        if part.kind == "text/rfc822-headers":
            return _of_headers(mime.headers_of(part.text()))
        if part.kind in {"message/rfc822", "message/global"} and part.parts:
            return _of_headers(part.parts[0].headers)
    rest = freetext.read(text).rest
    start = re.search(r"^[A-Z][A-Za-z-]{1,40}:[ \t]", rest, re.MULTILINE)
    return _of_headers(mime.headers_of(rest[start.start() :])) if start else Original()


def _of_headers(headers: mime.Headers) -> Original:
    def kept(name: str) -> str:
        return printable(headers.get(name), 998)

    return Original(
        message_id=kept("message-id"),
        ekiden_ref=kept("x-ekiden-ref"),
        feedback_id=kept("feedback-id"),
        list_unsubscribe=kept("list-unsubscribe"),
        mail_from=dsn.address_in(headers.get("return-path")),
        sender=kept("from"),
        to=kept("to"),
        subject=kept("subject"),
        date=kept("date"),
    )


__all__ = ["Action", "Kind", "Original", "Report", "ReportedRecipient", "read_report"]
