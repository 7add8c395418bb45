"""Second opinions about what lint says, by code that shares nothing with it.

Python's `email` reads the message, its `html.parser` the page, a pattern what can be seen. Each
answers for the rules it can judge whether a message breaks them; the rest a person judges.
"""

import email
import email.utils
import re
from collections.abc import Callable, Mapping
from email.message import Message
from html.parser import HTMLParser
from typing import Final

_BROKEN: Final = frozenset(
    {
        "CloseBoundaryNotFoundDefect",
        "StartBoundaryNotFoundDefect",
        "NoBoundaryInMultipartDefect",
        "MultipartInvariantViolationDefect",
    }
)
_LEAVING: Final = re.compile(
    r"unsubscri|opt.?out|preferences|notifications</|e-?mail settings|no longer wish", re.IGNORECASE
)
_SCRIPTS: Final = frozenset(
    {"script", "iframe", "object", "embed", "form", "input", "button", "select", "textarea"}
    | {"applet", "video", "audio"}
)


class _Seen(HTMLParser):
    """What a page has: tags that act, images without alt, addresses, the text that is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.acts = self.no_alt = self.plain_images = self.plain_links = False
        self.text: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.acts |= tag in _SCRIPTS and "ld+json" not in (given.get("type") or "")
        self._hidden += tag in {"style", "script", "title"}
        if tag == "img":
            pixel = {given.get("width"), given.get("height")} & {"0", "1"}
            self.no_alt |= "alt" not in given and not pixel
            self.plain_images |= (given.get("src") or "").strip().lower().startswith("http:")
        if tag in {"a", "area"}:
            self.plain_links |= (given.get("href") or "").strip().lower().startswith("http:")
            self.text.append(given.get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in {"style", "script", "title"}

    def handle_data(self, data: str) -> None:
        if self._hidden <= 0:
            self.text.append(data)


def _page(message: Message) -> _Seen:
    seen = _Seen()
    for part in message.walk():
        if part.get_content_type() in {"text/html", "text/plain"} and not part.get_filename():
            payload = part.get_payload(decode=True)
            text = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
            (seen.feed if part.get_content_subtype() == "html" else seen.text.append)(text)
    return seen


def _date_is_bad(message: Message) -> bool:
    said = str(message["Date"] or "").strip()
    try:
        date = email.utils.parsedate_to_datetime(said) if said else None
    except ValueError:
        return True
    return date is not None and "," in said and not said.startswith(f"{date:%a}")


_MESSAGE: Final[Mapping[str, Callable[[Message], bool]]] = {
    "message-id-missing": lambda message: not str(message["Message-ID"] or "").strip(),
    "date-missing": lambda message: not str(message["Date"] or "").strip(),
    "from-missing": lambda message: not str(message["From"] or "").strip(),
    "subject-missing": lambda message: not str(message["Subject"] or "").strip(),
    "unsubscribe-header": lambda message: message["List-Unsubscribe"] is None,
    "date-invalid": _date_is_bad,
    "boundary": lambda message: any(
        type(defect).__name__ in _BROKEN for part in message.walk() for defect in part.defects
    ),
}
_PAGE: Final[Mapping[str, Callable[[_Seen], bool]]] = {
    "active-content": lambda seen: seen.acts,
    "image-alt": lambda seen: seen.no_alt,
    "image-insecure": lambda seen: seen.plain_images,
    "link-insecure": lambda seen: seen.plain_links or "http://" in "".join(seen.text).lower(),
    "unsubscribe-body": lambda seen: _LEAVING.search(" ".join(seen.text)) is None,
}
JUDGED: Final = frozenset(_MESSAGE) | frozenset(_PAGE)


def second_opinion(raw: bytes) -> frozenset[str]:
    """Return which of the `JUDGED` rules a message breaks."""
    message = email.message_from_bytes(raw)
    seen = _page(message)
    return frozenset(
        [code for code, judge in _MESSAGE.items() if judge(message)]
        + [code for code, judge in _PAGE.items() if judge(seen)]
    )
