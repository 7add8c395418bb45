"""What receivers look up about a source: PTR, the way back, EHLO name, blocklists. Pure."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ekiden.check.model import GMAIL, YAHOO, Finding, Level, finding, unanswered
from ekiden.check.questions import Asking, Status, ask
from ekiden.networks import Address

BLOCKLISTS: Final = ("zen.spamhaus.org", "bl.spamcop.net", "b.barracudacentral.org")
# Spamhaus answers from 127.255.255.0/24 when it will not answer this resolver at all.
_REFUSED: Final = ipaddress.IPv4Network("127.255.255.0/24")
_LISTED: Final = ipaddress.IPv4Network("127.0.0.0/8")
_GENERIC: Final = re.compile(
    r"(?:^|[.\-])(?:dyn(?:amic)?|dhcp|dsl|adsl|cable|pool|ppp|dial(?:up)?|customer|client|broadband)"
    r"(?:[.\-\d]|$)"
)


@dataclass(frozen=True, slots=True)
class CheckedSource:
    """A source as it is checked.

    Args:
        name: What the configuration calls it.
        address: Its address.
        ehlo: The name it gives in EHLO.
    """

    name: str
    address: Address
    ehlo: str


def judge_source(source: CheckedSource, blocklists: Sequence[str] = ()) -> Asking[list[Finding]]:
    """Return what receivers find about a source.

    Args:
        source: The source.
        blocklists: Lists to be asked; none are by default, see docs/check.md.
    """
    subject = f"{source.name} ({source.address})"
    if not source.address.is_global:
        what = "the address is not one of the public Internet: a NAT must give it one"
        remedy = "check from there; nothing more can be looked up about this one"
        return [finding("ptr", subject, Level.INFO, what, remedy)]
    found = yield from _reverse(source, subject)
    found += yield from _ehlo(source, subject)
    for blocklist in blocklists:
        found.append((yield from _listed(source, subject, blocklist)))
    return found


def _reverse(source: CheckedSource, subject: str) -> Asking[list[Finding]]:
    by = f"{GMAIL}; {YAHOO}; RFC 1912 section 2.1"
    answer = yield from ask(source.address.reverse_pointer, "PTR")
    remedy = f"have whoever owns the address set the PTR of {source.address} to {source.ehlo}"
    if answer.failed:
        return [unanswered("ptr", subject, answer.why)]
    if answer.status is Status.NONE:
        what = "the address has no PTR record"
        return [finding("ptr", subject, Level.FAIL, what, remedy, by)]
    names = [one.rstrip(".").lower() for one in answer.values]
    found = []
    if len(names) > 1:
        what = f"the address has {len(names)} PTR records: {', '.join(names[:5])}"
        found.append(finding("ptr", subject, Level.WARN, what, "keep one", by))
    elif _generic(names[0], source.address):
        what = f"the PTR record {names[0]} looks like that of a dial-up line"
        found.append(finding("ptr", subject, Level.WARN, what, remedy, by))
    else:
        found.append(finding("ptr", subject, Level.PASS, f"the PTR record is {names[0]}"))
    back: list[str] = []
    for name in names[:10]:
        forward = yield from ask(name, _kind(source.address))
        if forward.failed:
            return [*found, unanswered("fcrdns", subject, forward.why)]
        if any(ipaddress.ip_address(one) == source.address for one in forward.values):
            back.append(name)
    if back:
        found.append(finding("fcrdns", subject, Level.PASS, f"{back[0]} leads back to the address"))
    else:
        what = f"{names[0]} does not lead back to the address"
        fix = f"publish {names[0]}. {_kind(source.address)} {source.address}, or {remedy}"
        found.append(finding("fcrdns", subject, Level.FAIL, what, fix, by))
    if back and source.ehlo.lower().rstrip(".") not in names:
        what = f"EHLO says {source.ehlo}, the PTR record {names[0]}"
        fix = f'set ehlo = "{back[0]}" for this source, or {remedy}'
        found.append(finding("ehlo-ptr", subject, Level.WARN, what, fix, YAHOO))
    return found


def _ehlo(source: CheckedSource, subject: str) -> Asking[list[Finding]]:
    name, by = source.ehlo, "RFC 5321 section 4.1.4; RFC 7208 section 2.3"
    if name.startswith("["):
        what = "EHLO says an address and no name"
        return [finding("ehlo", subject, Level.WARN, what, "set ehlo to a full host name", by)]
    if "." not in name:
        what = f"EHLO says {name}, which is no full host name"
        return [finding("ehlo", subject, Level.FAIL, what, "set ehlo to a full host name", by)]
    answer = yield from ask(name, _kind(source.address))
    if answer.failed:
        return [unanswered("ehlo", subject, answer.why)]
    if any(ipaddress.ip_address(one) == source.address for one in answer.values):
        return [finding("ehlo", subject, Level.PASS, f"{name} leads to the address")]
    leads = f"leads to {', '.join(answer.values[:3])}" if answer.values else "leads nowhere"
    fix = f"publish {name}. {_kind(source.address)} {source.address}"
    return [finding("ehlo", subject, Level.FAIL, f"the EHLO name {name} {leads}", fix, by)]


def _listed(source: CheckedSource, subject: str, blocklist: str) -> Asking[Finding]:
    check = f"dnsbl {blocklist}"
    reverse = source.address.reverse_pointer
    reverse = reverse.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
    answer = yield from ask(f"{reverse}.{blocklist}", "A")
    if answer.failed:
        return unanswered(check, subject, answer.why)
    codes = [ipaddress.ip_address(one) for one in answer.values]
    if any(code in _REFUSED for code in codes):
        what = "the list does not answer this resolver (a public one, or too many questions)"
        fix = "ask through a resolver of your own, or with the key of a subscription"
        return finding(check, subject, Level.UNKNOWN, what, fix, blocklist)
    if not any(code in _LISTED for code in codes):
        return finding(check, subject, Level.PASS, "not listed")
    reason = yield from ask(f"{reverse}.{blocklist}", "TXT")
    told = f": {reason.values[0][:200]}" if reason.values else ""
    what = f"listed ({', '.join(map(str, codes))}){told}"
    fix = f"mend the cause, then have it removed at {blocklist}; pause this source until then"
    return finding(check, subject, Level.FAIL, what, fix, blocklist)


def _generic(name: str, address: Address) -> bool:
    """Whether a name is one that a provider gives to a line, and not a person to a mail server."""
    digits = [part for part in re.split(r"\D+", name) if part]
    if address.version == 4:
        octets = str(address).split(".")
        if any(octets == digits[at : at + 4] for at in range(len(digits))):
            return True
        if any(octets[::-1] == digits[at : at + 4] for at in range(len(digits))):
            return True
    return _GENERIC.search(name) is not None


def _kind(address: Address) -> str:
    return "A" if address.version == 4 else "AAAA"
