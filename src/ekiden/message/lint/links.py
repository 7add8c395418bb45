"""Where a message leads: its links, and what they show. Pure."""

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from ekiden.message.lint.content import Body
from ekiden.message.lint.found import Found, quoted
from ekiden.message.lint.page import Link
from ekiden.message.lint.words import SHORTENERS, URL, same_site

_OTHER: Final = ("mailto:", "tel:", "sms:", "cid:", "webcal:", "geo:", "line:", "whatsapp:")
_SHOWN: Final = re.compile(
    r"(?:https?://|www\.)((?:[\w-]+\.)+[a-z]{2,24})(?::\d+)?(?:[/?#]|\s|$|[.,)])", re.IGNORECASE
)
_BARE: Final = re.compile(
    r"((?:[a-z0-9-]+\.)+(?:com|net|org|jp|info|biz|shop|store|de|fr|uk|eu|it|es|nl|us|cn|kr))/?",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"\d{8,10}|0x[0-9a-f]{8}", re.IGNORECASE)
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def check_links(body: Body, found: Found) -> None:
    """All links of a message."""
    seen: set[str] = set()
    if body.page is not None:
        for link in body.page.links:
            where = f"{body.html_name}, line {link.line} of the HTML"
            seen.add(link.href.strip())
            _check_link(link, where, body.page.ids, found)
    for url in URL.findall(body.text):
        where = body.text_name
        if url in seen:
            continue
        seen.add(url)
        parts = _split(url)
        if parts is not None:
            _check_host(url, parts, where, found)
    webs = {url.partition("#")[0] for url in seen if url.lower().startswith(("http:", "https:"))}
    if len(webs) > found.options.urls:
        found.add("urls-many", "message", f"It links to {len(webs)} different addresses.")


def _check_link(link: Link, where: str, ids: set[str], found: Found) -> None:
    href = link.href.strip()
    lower = href.lower()
    if not href:
        found.add("link-invalid", where, f"The link {quoted(link.text, 30)} leads nowhere.")
    elif href == "#":
        found.add("link-invalid", where, f"The link {quoted(link.text, 30)} leads to {href}.")
    elif href.startswith("#"):
        if href[1:] not in ids:
            found.add("link-fragment", where, f"There is no {quoted(href, 30)}.")
    elif lower.startswith(("http:", "https:")):
        parts = _split(href)
        if parts is None or not parts.hostname or re.search(r"[\s<>\"]", href):
            found.add("link-invalid", where, f"{quoted(href)} is no address.")
            return
        _check_host(href, parts, where, found)
        _check_shown(link, parts.hostname, where, found)
    elif "{{" not in href and not lower.startswith(_OTHER) and not _SCHEME.match(href):
        found.add("link-invalid", where, f"{quoted(href)} is no whole address.")


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port, parts.hostname
    except ValueError:
        return None
    return parts


def _check_host(url: str, parts: SplitResult, where: str, found: Found) -> None:
    host = (parts.hostname or "").rstrip(".")
    if parts.username is not None:
        found.add("link-user", where, f"{quoted(url)} names a user.")
    if is_address(host):
        found.add("link-ip", where, f"{quoted(url)} leads to an IP address.")
    elif host and "." not in host:
        found.add("link-invalid", where, f"{quoted(url)} leads to no public host.")
    elif parts.scheme.lower() == "http":
        found.add("link-insecure", where, f"{quoted(url)}")
    if host in SHORTENERS or host.removeprefix("www.") in SHORTENERS:
        found.add("link-shortener", where, f"{quoted(url)} hides where it leads.")


def is_address(host: str) -> bool:
    """Whether a host is an IP address, in any of the spellings that browsers take."""
    if _NUMBER.fullmatch(host):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _check_shown(link: Link, host: str, where: str, found: Found) -> None:
    """A text that is itself an address must be of the host that the link leads to."""
    shown = _SHOWN.search(link.text) or _BARE.fullmatch(link.text.strip())
    if shown is None or "@" in link.text:
        return
    if not same_site(shown[1], host):
        found.add("link-mismatch", where, f"It shows {quoted(shown[1])} and leads to {host}.")
