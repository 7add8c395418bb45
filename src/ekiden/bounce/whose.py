"""Whose mail it is: a mail system's, a program's that answers, or somebody's own. Pure.

Nothing but headers and the way of writing tell that, and anybody may write like a mail system: what
is recognised here proves nothing, it only decides how a mail is read.
"""

import re
from typing import Final

from ekiden.bounce import arf, autoreply, freetext, mime

_SYSTEM: Final = re.compile(
    r"mailer-?daemon|mail[.\s-]?delivery|postmaster|post_master|mail system|system administrator|"
    r"delivery subsystem|mail server at|<>|mdaemon|mailerdaemon|mail-?daemon|\bdaemon@",
    re.IGNORECASE,
)
_SUBJECT: Final = re.compile(
    r"undeliver|returned (?:mail|to sender)|"
    r"delivery (?:status|fail|error|report|problem|unsuccess)|"
    r"failure (?:notice|delivery)|fail(?:ed|ure) (?:mail|notice|delivery)|"
    r"mail (?:delivery )?(?:failure|failed|error|system error)|"
    r"(?:non|un)-?deliver|could not be delivered|returning (?:message|to sender)|message delivery|"
    r"delivery (?:has )?failed|bounce|rejected (?:mail|message)|mail failure|not delivered|"
    r"unzustellbar|zustell|non remis|non distribu|no se (?:ha )?(?:podido|pudo)|no entregado|"
    r"devuelto|n[aã]o entregue|mancata consegna|niet bezorg|onbestelbaar|недостав|не доставлено|"
    r"配信不能|送信エラー|エラー|不達|届き|退信|无法投递|系统退信|배달|반송|niedostarcz",
    re.IGNORECASE,
)
_DELAY: Final = re.compile(
    r"warning message only|do not need to resend|has been delayed|delayed (?:mail|delivery)|"
    r"delivery (?:is )?(?:temporarily )?delayed|still being retried|will be retried|"
    r"will (?:continue to|keep) (?:try|be attempt)|not yet been delivered|"
    r"status notification \(delay\)|"
    r"warning: could not send|could not be delivered (?:yet|for)|"
    r"(?:verz[oö]ger)|retard[eé]|遅延|遅れ",
    re.IGNORECASE,
)
# A subject alone makes no bounce: parcels and orders cannot be delivered either.
_OF_MAIL: Final = re.compile(
    r"mail|message|recipient|smtp|\b[45]\d\d[ -]|user |host |nachricht"
    r"|empf[aä]nger|mensaje|destinatari|mensagem|messaggi|bericht|destinataire|"
    r"сообщени|письм|получател|メール|宛先|邮件|郵件|收件人|메일|wiadomo",
    re.IGNORECASE,
)
_FATAL: Final = re.compile(
    r"permanent(?:ly)? (?:error|fail)|failed permanently|giving up|given up|has failed",
    re.IGNORECASE,
)
_WRAPPINGS: Final = 3  # forwards of forwards that are opened


def unwrapped(mail: mime.Part) -> mime.Part:
    """The bounce or complaint that somebody attached to a mail of his own; else the mail itself.

    A bounce carries a message, too: what is unwrapped is itself by a mail system or a report, and
    what it is unwrapped from is no report and names nobody.
    """
    for _ in range(_WRAPPINGS):
        if mail.kind == "multipart/report" or any(_is_report(part) for part in mail.parts):
            break
        attached = [part.parts[0] for part in mail.parts if part.kind == "message/rfc822"]
        inner = next((one for one in attached if _is_bounce(one)), None)
        if inner is None or freetext.read(words_of(mail)).blocks:
            break
        mail = inner
    return mail


def _is_report(part: mime.Part) -> bool:
    return "delivery-status" in part.kind or part.kind == "message/feedback-report"


def _is_bounce(mail: mime.Part) -> bool:
    return bool(
        mail.kind == "multipart/report"
        or _SYSTEM.search(mail.headers.get("from"))
        or mail.headers.get("x-failed-recipients")
        or arf.find(mail) is not None
    )


def words_of(mail: mime.Part) -> str:
    """The words meant for people: the first text part that has any, plain before HTML."""
    parts = [part for part in mime.walk(mail) if not part.parts and part.kind.startswith("text/")]
    outer = [part for part in parts if part.kind not in {"text/rfc822-headers", "text/x-amp-html"}]
    for kind in ("text/plain", "text/html"):
        for part in outer:
            if part.kind == kind and part.body.strip():
                return part.text()[: freetext.TEXT_CAP]
    return mail.text()[: freetext.TEXT_CAP] if not mail.parts else ""


def by_system(mail: mime.Part) -> bool:
    """Whether a mail system wrote it: its name, a null return path, or a bounce's subject."""
    headers = mail.headers
    return bool(
        _SYSTEM.search(headers.get("from"))
        or headers.get("return-path").strip() in {"<>", "<MAILER-DAEMON>"}
        or headers.get("x-failed-recipients")
        or _of_bounce(mail)
    )


def automatic(mail: mime.Part, text: str) -> str:
    """The sort of automatic reply; "" if it is none, or a bounce that calls itself one."""
    if _SYSTEM.search(mail.headers.get("from")) or mail.headers.get("x-failed-recipients"):
        return ""
    if _of_bounce(mail):
        return ""
    return autoreply.kind_of(mail.headers, text)


def speaks_of_failure(mail: mime.Part, text: str) -> bool:
    """Whether a mail system's prose, which names somebody, says that a mail came to nothing.

    Args:
        mail: The mail.
        text: Its prose.
    """
    if not (_of_bounce(mail) or freetext.says_failure(text)):
        return False
    return _SYSTEM.search(mail.headers.get("from")) is not None or _OF_MAIL.search(text) is not None


def says_delay(words: str) -> bool:
    """Whether subject and prose say that it is still being tried."""
    return _DELAY.search(words) is not None and _FATAL.search(words) is None


def _of_bounce(mail: mime.Part) -> bool:
    return _SUBJECT.search(mime.unencoded(mail.headers.get("subject"))) is not None
