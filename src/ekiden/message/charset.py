"""ISO-2022-JP for receivers that still need it (RFC 1468); UTF-8 for all others.

Pure. Python's codec knows JIS X 0208 only, while people's mail holds the letters that Windows added
(①, ㈱, 髙, ～). Rather than refuse the recipient, each such letter is written the way a Japanese
mailer would: by its compatibility form, by the standard variant, in HTML by a character reference,
and where nothing else is left by 〓, the printer's mark for a missing sort. Half-width kana, which
RFC 1468 leaves out, become full-width with their voicing marks joined (ｶﾞ becomes ガ).
"""

import codecs
import re
import unicodedata
from typing import Final

UTF8: Final = "utf-8"
ISO_2022_JP: Final = "iso-2022-jp"
CHARSETS: Final = (UTF8, ISO_2022_JP)

_MISSING: Final = "〓"
# Windows code page 932 to JIS X 0208, and variants that JIS unifies.
_VARIANTS: Final = str.maketrans(
    "～∥－￠￡￢―—–髙﨑栁德濵彅邉",
    "〜‖−¢£¬――‐高崎柳徳浜剪邊",
)
_PYTHON: Final = "iso2022_jp"
# Python would write these in JIS X 0201, and most readers show that as ASCII: a price of \1,980.
_ROMAN: Final = str.maketrans("¥‾", "￥￣")
_HALF_WIDTH: Final = re.compile("[\uff61-\uff9f]+")
# A voicing mark that has no letter to join.
_LONE: Final = str.maketrans("\u3099\u309a", "゛゜")


def _nearest(char: str) -> str:
    """Return what ISO-2022-JP can say for a character that it lacks, or ""."""
    for candidate in (char.translate(_VARIANTS), unicodedata.normalize("NFKC", char)):
        candidate = candidate.translate(_VARIANTS)  # noqa: PLW2901 - NFKC may lead to a variant
        try:
            candidate.encode(_PYTHON)
        except UnicodeEncodeError:
            continue
        return candidate
    return ""


def _text_fallback(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return "".join(_nearest(char) or _MISSING for char in wrong), error.end


def _html_fallback(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return "".join(_nearest(char) or f"&#{ord(char)};" for char in wrong), error.end


codecs.register_error("ekiden-jis-text", _text_fallback)
codecs.register_error("ekiden-jis-html", _html_fallback)


def encode(text: str, charset: str, *, html: bool = False) -> bytes:
    """Encode a part's text.

    Args:
        text: The text; lone surrogates were refused before.
        charset: "utf-8" or "iso-2022-jp".
        html: Characters without a place become character references instead of 〓.
    """
    if charset == UTF8:
        return text.encode("utf-8")
    errors = "ekiden-jis-html" if html else "ekiden-jis-text"
    return _joined(text).translate(_ROMAN).encode(_PYTHON, errors)


def _joined(text: str) -> str:
    """Return text with full-width kana, and with voicing marks joined to their letters (NFC)."""
    if text.isascii():
        return text
    full = _HALF_WIDTH.sub(lambda run: unicodedata.normalize("NFKC", run[0]), text)
    return unicodedata.normalize("NFC", full).translate(_LONE)


def encodable(text: str, charset: str) -> str:
    """Return text that `charset` can say, for encoded words."""
    if charset == UTF8:
        return text
    return encode(text, charset).decode(_PYTHON)
