r"""A reply made ready to be understood: words on one side, codes and addresses on the other.

A reply mixes what it says with what it quotes: codes repeated on each line, the recipient, hosts,
URLs, queue numbers, another server's whole answer. `read` takes these apart, so that a rule sees
only words, and a mailbox called `spam.blocked@full.example` cannot be mistaken for a reason. What a
URL or a host is made of stays available as `~word`.

Foreign bytes arrive escaped (`text.printable`) and are read back here in the encodings mail hosts
use: UTF-8, ISO-2022-JP, Shift_JIS, EUC-JP, GB 18030, Latin-1.
"""

import re
import unicodedata
from typing import Final

import msgspec

from ekiden.smtp.outcome import Stage
from ekiden.text import unescape

TEXT_CAP: Final = 2048  # characters that are read; what matters stands at the beginning
_TLDS: Final = re.compile(r"com|net|org|edu|gov|info|biz|test|example|invalid|arpa|[a-z]{2}")

_PLAIN: Final = re.compile(r"\w+(?:[.'’\-]+\w+)*")
_WITH_QUOTES: Final = re.compile(
    r"https?:/*[^\s<>\"]+|[^\s<>()\[\]\"',;:]*@[^\s<>()\[\]\"',;:]+|\w+(?:[.'’\-]+\w+)*"
)
# The same for ASCII without URLs, in a third of the time: what no word is made of becomes a space.
_MADE_OF: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_.'-")
_SPACED: Final = {char: chr(char) if chr(char) in _MADE_OF else " " for char in range(128)}
_AROUND: Final = frozenset('<>()[]",;:')  # what stands around an address and not in it
_LOOSENED: Final = {char: " " if chr(char) in _AROUND else chr(char) for char in range(128)}
_EDGE: Final = ".'-"
_ENHANCED: Final = re.compile(r"([2457])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")
# French and Italian write an article into the word: `l'adresse` is `adresse`.
_ARTICLES: Final = frozenset({"l", "d", "dell", "all", "nell", "dall", "sull"})
_IPV4: Final = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}$")
_NOT_WORD: Final = re.compile(r"[\W_]+")
# A code counts at the very beginning, after a colon or quote, or before an enhanced status code.
_CODE: Final = re.compile(
    r"(?:^\W{0,3}(?:smtp; ?)?|[:'\"(<>] ?|said ?)([245]\d\d)(?=[\s\-#:=.]|$)"
    r"|(?<![\w.])([245]\d\d)[ \-]#?[245]\.\d\.\d"
    r"|\bcode ?[:=]? ?([245]\d\d)\b",
    re.IGNORECASE,
)
_DIGITS: Final = re.compile(r"[245]\d\d(?!\d)")
_AFTER_CODE: Final = frozenset({" ", "-", ""})
# What our own side, or a relay, wraps around the receiver's words.
_SAID: Final = re.compile(
    r"(?:\bhost |\bfrom |\bby )[^\s\[\]]{1,255} ?(?:\[[^\]\s]{1,64}\])?"
    r" {0,3}(?:[:,]|said:|refused to)"
)
_COMMAND: Final = re.compile(
    r"\(in reply to ([^()]{3,40}?)(?: command)?(?:\)|$)"
    r"|smtp error from remote (?:mail server|mailer) after ([a-z ]{4,40})",
    re.IGNORECASE,
)
_STAGES: Final = (
    ("end of data", Stage.BODY),
    ("end-of-data", Stage.BODY),
    ("message body", Stage.BODY),
    ("body", Stage.BODY),
    ("dot", Stage.BODY),
    ("bdat", Stage.BODY),
    ("pipelined data", Stage.DATA),
    ("data", Stage.DATA),
    ("rcpt", Stage.RCPT),
    ("mail", Stage.MAIL),
    ("starttls", Stage.STARTTLS),
    ("auth", Stage.AUTH),
    ("ehlo", Stage.EHLO),
    ("helo", Stage.EHLO),
    ("lhlo", Stage.EHLO),
    ("connect", Stage.CONNECT),
    ("conn", Stage.CONNECT),
    ("greeting", Stage.CONNECT),
    ("banner", Stage.CONNECT),
    ("resolve", Stage.RESOLVE),
    ("dns", Stage.RESOLVE),
)


class Reading(msgspec.Struct, frozen=True, gc=False):
    """A reply, read.

    Args:
        text: Its words, lower case, one space before and after each.
        words: The same as a set.
        code: The reply code, 0 if there is none.
        enhanced: The enhanced status code, "" if there is none.
        stage: Where it came, None if neither given nor told in the text.
        foreign: Whether there is a letter outside ASCII.
        quotes: Whether it quotes an address.
        numbers: Whether a number is among the words.
    """

    text: str
    words: frozenset[str]
    code: int
    enhanced: str
    stage: Stage | None
    foreign: bool
    quotes: bool
    numbers: bool


def stage_of(name: str) -> Stage | None:
    """Return the stage that a person, a log or another mailer calls `name`; None if none."""
    lowered = name.lower()
    return next((stage for word, stage in _STAGES if word in lowered), None)


def read(text: str, code: int = 0, enhanced: str = "", stage: Stage | None = None) -> Reading:
    """Take a reply apart; never raises.

    Args:
        text: The reply, with or without codes, bytes escaped or not; read up to `TEXT_CAP`.
        code: The reply code if known.
        enhanced: The enhanced status code if known.
        stage: The stage if known.
    """
    text = text[:TEXT_CAP]
    if "\\x" in text:
        text = decoded(unescape(text))
    if "reply to" in text or "after" in text:
        text, told = _unquote_command(text)
        stage = stage or told
    if " said" in text or "host " in text:
        text = _SAID.sub(" : ", text)
    if not code:
        code = _code(text)
    foreign = not text.isascii()
    text = _folded(text) if foreign else text.lower()
    quotes = "@" in text
    words: list[str] = []
    statuses: list[str] = []
    numbers = False
    mine = str(code)
    for token in _tokens(text, quotes=quotes, foreign=foreign):
        if token.isalpha():
            words.append(token)
        elif token != mine:
            _special(token, mine, words, statuses)
            numbers = numbers or token[0].isdigit()
    return Reading(
        f" {' '.join(words)} ",
        frozenset(words),
        code,
        _enhanced(statuses, code, enhanced),
        stage,
        foreign,
        quotes,
        numbers,
    )


def _tokens(text: str, *, quotes: bool, foreign: bool) -> list[str]:
    """Split a folded text into words, numbers, statuses, and what it quotes."""
    if foreign or "http" in text:
        return (_WITH_QUOTES if quotes or "http" in text else _PLAIN).findall(text)
    if not quotes:
        spaced = text.translate(_SPACED).split()
        return [bare for token in spaced if (bare := token.strip(_EDGE))]
    tokens: list[str] = []
    for token in text.translate(_LOOSENED).split():
        if token.isalnum():
            tokens.append(token)
        elif "@" not in token:
            tokens += _PLAIN.findall(token)
    return tokens


def _unquote_command(text: str) -> tuple[str, Stage | None]:
    """Cut out where a mailer says which command was answered; return that stage too."""
    found = _COMMAND.search(text)
    if found is None:
        return text, None
    stage = stage_of(found.group(1) or found.group(2) or "")
    return f"{text[: found.start()]} {text[found.end() :]}", stage


def _code(text: str) -> int:
    head = text[:3]
    if head.isascii() and head.isdigit() and text[3:4] in _AFTER_CODE and head[0] in "245":
        return int(head)
    if _DIGITS.search(text) is None:  # most that begin without a code have none
        return 0
    found = _CODE.search(text)
    return int(found.group(1) or found.group(2) or found.group(3)) if found else 0


def _enhanced(statuses: list[str], code: int, given: str) -> str:
    """The status that fits the code and says most; RFC 2034 section 4 has the classes agree."""
    if given:
        statuses = [*statuses, given]
    if not statuses:
        return ""
    first = str(code // 100) if code else ""
    if len(statuses) == 1:
        return statuses[0]
    fitting = [one for one in statuses if one[0] == first] if first else statuses
    telling = [one for one in fitting if not one.endswith(".0.0")]
    return (telling or fitting or [""])[0]


def _special(token: str, code: str, words: list[str], statuses: list[str]) -> None:
    """Sort a token that is more than letters into words and statuses, or drop it."""
    if "@" in token:
        return
    if token[0].isdigit():
        if token[3:4] == "-" and token.startswith(code):
            token = token[
                4:
            ]  # `550-5.7.1`, `550-Please`: a continued line (RFC 5321 section 4.2.1)
        if (status := _ENHANCED.match(token)) is not None:
            statuses.append(status.group())
            token = token[status.end() :].strip(".-'")
        if not token:
            return
    if token.startswith("http"):
        words.extend("~" + part for part in _NOT_WORD.split(token)[1:] if part)
        return
    if "'" in token:
        article, _, noun = token.partition("'")
        token = (noun if len(noun) > 2 and article in _ARTICLES else token).replace("'", "")
    if "." in token:
        _dotted(token, words)
    elif "-" in token or "_" in token:
        parts = _NOT_WORD.split(token)
        words.extend(part for part in parts if part and part != code)
    else:
        words.append(token)


def _dotted(token: str, words: list[str]) -> None:
    """An address is dropped, a host or identifier kept apart, a missing space put back."""
    parts = token.split(".")
    if len(parts) == 2 and parts[0].isalpha() and parts[1].isalpha():
        if not _TLDS.fullmatch(parts[1]):
            words += parts
            return
    elif _IPV4.match(token):
        words.append("~ip")
        return
    elif not token.replace(".", "").isalnum():
        parts = _NOT_WORD.split(token)
    words += ["~" + part for part in parts if part]


def _folded(text: str) -> str:
    """Fold width, case and Latin accents, so that `bloqué` and `bloque` are one word."""
    spread = unicodedata.normalize("NFKD", text)
    bare = "".join(char for char in spread if not "\u0300" <= char <= "\u036f")
    return unicodedata.normalize("NFC", bare).casefold().replace("’", "'")


def decoded(raw: bytes) -> str:
    """Return bytes of an unknown encoding as text; the encodings mail hosts use are tried."""
    if b"\x1b$" in raw:
        return raw.decode("iso2022_jp", "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        pass
    for encoding, sign in _LEGACY:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if sign.search(text):
            return text
    return raw.decode("latin-1")


# Kana tell Japanese; two ideographs in a row tell Chinese from an accented Latin letter.
_KANA: Final = re.compile("[\u3041-\u30ff]{2}")
_LEGACY: Final = (
    ("cp932", _KANA),
    ("euc_jp", _KANA),
    ("gb18030", re.compile("[\u4e00-\u9fff]{2}")),
)
