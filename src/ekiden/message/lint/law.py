"""What the law wants bulk mail to show, and what mailbox providers want for leaving it. Pure.

- Japan: 特定電子メール法 art. 4 (name; how to refuse, with its notice beside it; postal address;
  contact for complaints), and 特定商取引法 art. 12-3 where something is sold.
- United States: CAN-SPAM, 15 U.S.C. 7704(a)(5) (clear notice and way to decline, postal address).
- European Union: GDPR art. 7(3) and 21 (withdraw, object), art. 13 (who is responsible).

They are held by wording, in Japanese, English and the larger languages of Europe; this is a help
for writers and no legal advice.
"""

import re
import unicodedata
from typing import Final

from ekiden.message.addresses import decode_words
from ekiden.message.lint.content import Body
from ekiden.message.lint.fields import mailboxes_of, subject_of
from ekiden.message.lint.found import Found, quoted
from ekiden.message.lint.model import Purpose
from ekiden.message.lint.page import Link
from ekiden.message.lint.source import Part
from ekiden.message.lint.words import (
    ADDRESS,
    ADDRESS_JA,
    ADDRESS_OF_MAIL,
    CONTACT_JA,
    LEAVE,
    LEAVE_HREF,
    LEAVE_JA,
    PAGE_JA,
    PRIVACY,
    SENDER,
    SENDER_JA,
    SHOP_JA,
    URL,
    is_japanese,
)

_NEAR: Final = 2  # lines of a text between a notice and its address


def check_leaving(root: Part, found: Found, purpose: Purpose) -> None:
    """The header fields by which people leave (RFC 2369, RFC 8058)."""
    if not purpose.final:
        return
    ways = root.get("list-unsubscribe")
    if ways is None:
        found.add("unsubscribe-header", "header")
        return
    where = f"List-Unsubscribe, line {ways.line}"
    post = root.get("list-unsubscribe-post")
    lower = ways.text.lower()
    if "<https://" not in lower:
        found.add("unsubscribe-one-click", where, "It holds no https address.")
    elif post is None or post.text.replace(" ", "") != "List-Unsubscribe=One-Click":
        found.add("unsubscribe-one-click", where)


def check_law(root: Part, body: Body, found: Found) -> None:
    """What the text must show, by the laws that hold."""
    seen = unicodedata.normalize("NFKC", body.seen)  # ＮＰＯ, ㈱, full-width digits
    japanese = is_japanese(f"{seen}{subject_of(root)}")
    laws = found.options.laws or (("jp",) if japanese else ("us", "eu"))
    notice = shows_notice(body)
    if not notice:
        found.add("unsubscribe-body", "text")
    leaving = _leaving_links(body)
    if leaving and not any(link.legible for link in leaving):
        for link in leaving:
            told = f"The link to leave is {link.faint}." if link.faint else ""
            found.add("unsubscribe-faint", f"{body.html_name}, line {link.line} of the HTML", told)
    if "jp" in laws:
        _japan(root, body, seen, found, notice=notice)
    if "us" in laws:
        if not notice:
            found.add("us-optout", "text")
        if not (ADDRESS.search(seen) or ADDRESS_JA.search(seen)):
            found.add("us-address", "text")
    if "eu" in laws:
        if not notice:
            found.add("eu-objection", "text")
        if not (shows_sender(root, seen) and (PRIVACY.search(seen) or _links_to(body, PRIVACY))):
            found.add("eu-controller", "text")


def _japan(root: Part, body: Body, seen: str, found: Found, *, notice: bool) -> None:
    page = _links_to(body, PAGE_JA)  # a page that has it may have it (施行規則 art. 9)
    wanted = found.options.sender
    if wanted:
        if wanted not in seen and wanted.replace(" ", "") not in seen.replace(" ", ""):
            found.add("jp-sender", "text", f"{quoted(wanted)} is not in the text.")
    elif not shows_sender(root, seen):
        found.add("jp-sender", "text")
    if not notice:
        found.add("jp-optout", "text")
        if SHOP_JA.search(seen):
            found.add("jp-commerce", "text")
    if not (ADDRESS_JA.search(seen) or ADDRESS.search(seen) or page):
        found.add("jp-address", "text")
    if not (CONTACT_JA.search(seen) or _links_to(body, CONTACT_JA) or "mailto:" in _hrefs(body)):
        found.add("jp-contact", "text")


def shows_notice(body: Body) -> bool:
    """Whether a notice of how to leave is shown, with an address or link beside it."""
    if _leaving_links(body):
        return True
    if body.page is not None and body.html and _notice_in(body.page.text):
        return True
    return _notice_in(body.text)


def opt_out_urls(root: Part, body: Body) -> list[str]:
    """Return the web addresses by which people leave: of List-Unsubscribe, and of the HTML."""
    ways = root.get("list-unsubscribe")
    named = [] if ways is None else re.findall(r"<\s*(https?://[^>\s]+)\s*>", ways.text)
    return [*named, *(link.href.strip() for link in _leaving_links(body))]


def _leaving_links(body: Body) -> list[Link]:
    """Return the links that are seen and, by their words or those around them, lead out."""
    return [] if body.page is None else [link for link in body.page.links if _leads_out(link)]


def _leads_out(link: Link) -> bool:
    told = f"{link.text} {link.around}"
    if LEAVE.search(told) or LEAVE_JA.search(told):
        return True
    return LEAVE_HREF.search(link.href) is not None and bool(link.text or link.images)


def _notice_in(text: str) -> bool:
    """Whether a text has a notice and, a few lines away at most, a URL or a mail address."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if not (LEAVE.search(line) or LEAVE_JA.search(line)):
            continue
        near = "\n".join(lines[max(0, number - _NEAR) : number + _NEAR + 1])
        if URL.search(near) or ADDRESS_OF_MAIL.search(near) or "返信" in near or "repl" in near:
            return True
    return False


def shows_sender(root: Part, seen: str) -> bool:
    """Whether the text shows who sends: by a form of company, a label, or the From field's name."""
    prose = ADDRESS_OF_MAIL.sub(" ", URL.sub(" ", seen))
    if SENDER_JA.search(prose) or SENDER.search(prose):
        return True
    return _names_sender(root, seen)


def _names_sender(root: Part, seen: str) -> bool:
    """Whether the text shows the name that the From field shows."""
    boxes = mailboxes_of(root.get("from"))
    name = decode_words(boxes[0].name).strip() if boxes else ""
    return len(name) > 1 and name.lower() in seen.lower()


def _links_to(body: Body, words: re.Pattern[str]) -> bool:
    return body.page is not None and any(words.search(link.text) for link in body.page.links)


def _hrefs(body: Body) -> str:
    return "" if body.page is None else " ".join(link.href for link in body.page.links)
