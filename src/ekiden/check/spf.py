"""SPF (RFC 7208): whether an address may send for a domain. Pure.

The whole of section 4 and 5: mechanisms, `redirect`, macros, the limit of ten terms that ask DNS
(section 4.6.4), of two that find nothing, of ten exchangers and ten PTR names. `exp` is parsed and
not fetched: an explanation is for the other side's bounces. The result is that of the RFC's
`check_host()`; `why` names the term, or what is wrong, for a person who can mend the record.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from ekiden.check.questions import Asking, Status, ask, exchangers
from ekiden.networks import Address

LOOKUPS: Final = 10
VOIDS: Final = 2
_NAMES: Final = 10  # of one MX or PTR answer
_DOMAIN: Final = 253

_MECHANISM: Final = re.compile(
    r"(?P<qualifier>[+\-?~]?)(?P<name>[A-Za-z][A-Za-z0-9]*)(?P<rest>[:/].*)?", re.ASCII
)
_MODIFIER: Final = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9_.\-]*)=(?P<value>.*)", re.ASCII)
_MACRO: Final = re.compile(r"%(?:([%_\-])|\{([slodiphcrtvSLODIPHCRTV])(\d*)(r?)([.\-+,/_=]*)\})")
_CIDR: Final = re.compile(
    r"(?P<domain>.*?)(?:/(?P<four>0|[1-9]\d?))?(?://(?P<six>0|[1-9]\d{0,2}))?", re.DOTALL
)
_TOP: Final = re.compile(r"(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9\-]*[A-Za-z0-9])\.?")
_KNOWN: Final = frozenset({"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"})


class Result(StrEnum):
    """Section 2.6."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"  # noqa: S105 - the RFC's word
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


_QUALIFIERS: Final = {
    "": Result.PASS,
    "+": Result.PASS,
    "-": Result.FAIL,
    "~": Result.SOFTFAIL,
    "?": Result.NEUTRAL,
}


@dataclass(frozen=True, slots=True)
class Spf:
    """What `check_host()` comes to.

    Args:
        result: The result.
        why: The term that matched, or what is wrong.
        record: The record; "" for none.
        lookups: Terms that asked DNS, of the ten that are allowed.
    """

    result: Result
    why: str = ""
    record: str = ""
    lookups: int = 0


class _StopError(Exception):
    def __init__(self, result: Result, why: str) -> None:
        super().__init__(why)
        self.result = result


@dataclass(frozen=True, slots=True)
class _Term:
    text: str
    result: Result
    name: str
    domain: str  # a macro string; "" for the current domain
    four: int = 32
    six: int = 128
    network: str = ""


@dataclass(frozen=True, slots=True)
class _Record:
    terms: tuple[_Term, ...]
    redirect: str


@dataclass(slots=True)
class _Check:
    """One evaluation: who sends, and what is used up."""

    ip: Address
    sender: str
    helo: str
    lookups: int = 0
    voids: int = 0
    validated: list[str] | None = field(default=None)


def check_host(ip: Address, domain: str, *, sender: str = "", helo: str = "") -> Asking[Spf]:
    """Return whether `ip` may send for `domain`.

    Args:
        ip: The source.
        domain: The domain of the reverse-path, or the EHLO name.
        sender: The reverse-path; "" for postmaster at the domain.
        helo: The EHLO name.
    """
    check = _Check(ip, sender or f"postmaster@{domain}", helo or domain)
    try:
        found = yield from _host(check, domain.rstrip(".").lower())
    except _StopError as stop:
        found = Spf(stop.result, str(stop))
    return Spf(found.result, found.why, found.record, check.lookups)


def _host(check: _Check, domain: str) -> Asking[Spf]:
    labels = domain.split(".")
    if len(labels) < 2 or len(domain) > _DOMAIN or not all(0 < len(one) < 64 for one in labels):
        return Spf(Result.NONE, f"{domain} is no domain that could have a record")
    answer = yield from ask(domain, "TXT")
    if answer.failed:
        raise _StopError(Result.TEMPERROR, f"DNS does not answer for {domain}: {answer.why}")
    records = [one for one in answer.values if re.fullmatch(r"(?i)v=spf1(?: .*)?", one, re.DOTALL)]
    if not records:
        return Spf(Result.NONE, f"{domain} publishes no SPF record")
    if len(records) > 1:
        why = f"{domain} publishes {len(records)} SPF records; there may be one"
        raise _StopError(Result.PERMERROR, why)
    record = _parse(records[0], domain)
    for term in record.terms:
        if (yield from _matches(check, term, domain)):
            return Spf(term.result, f"{term.text} of {domain}", records[0])
    if record.redirect:
        _use(check, f"redirect={record.redirect}", domain)
        target = yield from _expand(check, record.redirect, domain)
        found = yield from _host(check, target)
        if found.result is Result.NONE:
            raise _StopError(Result.PERMERROR, f"redirect={target} leads to no SPF record")
        return Spf(found.result, found.why, records[0])
    return Spf(Result.NEUTRAL, f"no term of {domain} matches", records[0])


# --- parsing (section 12) ---------------------------------------------------------------------


def _parse(text: str, domain: str) -> _Record:
    terms: list[_Term] = []
    modifiers: dict[str, str] = {}
    for word in filter(None, text[len("v=spf1") :].split(" ")):
        modifier = _MODIFIER.fullmatch(word)
        if modifier is None:
            terms.append(_term(word, domain))
            continue
        name, value = modifier["name"].lower(), modifier["value"]
        if name in {"redirect", "exp"}:
            if name in modifiers:
                raise _wrong(f"{name}= appears twice", domain)
            modifiers[name] = _domain_spec(value, word, domain)
        else:
            _macro_string(value, word, domain)
    has_all = any(term.name == "all" for term in terms)
    return _Record(tuple(terms), "" if has_all else modifiers.get("redirect", ""))


def _term(word: str, domain: str) -> _Term:
    match = _MECHANISM.fullmatch(word)
    name = match["name"].lower() if match else ""
    if match is None or name not in _KNOWN:
        raise _wrong(f"{word!r} is no term of SPF", domain)
    result, rest = _QUALIFIERS[match["qualifier"]], match["rest"] or ""
    if name == "all":
        if rest:
            raise _wrong(f"{word!r}: all takes no argument", domain)
        return _Term(word, result, name, "")
    if name in {"ip4", "ip6"}:
        return _Term(word, result, name, "", network=_network(name, rest, word, domain))
    if name in {"include", "exists"}:
        if not rest.startswith(":"):
            raise _wrong(f"{word!r} names no domain", domain)
        return _Term(word, result, name, _domain_spec(rest[1:], word, domain))
    if name == "ptr":
        wanted = _domain_spec(rest[1:], word, domain) if rest.startswith(":") else ""
        if rest.startswith("/"):
            raise _wrong(f"{word!r}: ptr takes no length", domain)
        return _Term(word, result, name, wanted)
    return _with_lengths(word, result, name, rest, domain)


def _with_lengths(word: str, result: Result, name: str, rest: str, domain: str) -> _Term:
    """`a` and `mx`: a domain and two prefix lengths, all of them optional."""
    spec = _CIDR.fullmatch(rest)
    if spec is None:
        raise _wrong(f"{word!r} is no term of SPF", domain)
    wanted = spec["domain"]
    if wanted:
        if not wanted.startswith(":"):
            raise _wrong(f"{word!r} is no term of SPF", domain)
        wanted = _domain_spec(wanted[1:], word, domain)
    four = 32 if spec["four"] is None else int(spec["four"])
    six = 128 if spec["six"] is None else int(spec["six"])
    if four > 32 or six > 128:
        raise _wrong(f"{word!r} has a prefix that is too long", domain)
    return _Term(word, result, name, wanted, four, six)


def _network(name: str, rest: str, word: str, domain: str) -> str:
    address, _, length = rest[1:].partition("/")
    most = 32 if name == "ip4" else 128
    plain = re.fullmatch(r"0|[1-9]\d{0,2}", length, re.ASCII) if "/" in rest else True
    try:
        found = ipaddress.ip_address(address) if rest.startswith(":") else None
    except ValueError:
        found = None
    wanted = 4 if name == "ip4" else 6
    if found is None or found.version != wanted or not plain or int(length or most) > most:
        raise _wrong(f"{word!r} is no network", domain)
    return f"{address}/{length or most}"


def _domain_spec(text: str, word: str, domain: str) -> str:
    _macro_string(text, word, domain)
    ends_in_macro = re.search(_MACRO.pattern + r"\Z", text) is not None
    top = text.rstrip(".").rpartition(".")[2] if "." in text.rstrip(".") else ""
    fine = _TOP.fullmatch(top) is not None and not top.isdigit()
    if not text or not (ends_in_macro or fine):
        raise _wrong(f"{word!r} names no domain", domain)
    return text


def _macro_string(text: str, word: str, domain: str) -> None:
    left = _MACRO.sub("", text)
    if "%" in left or not all("!" <= char <= "~" for char in text):
        raise _wrong(f"{word!r} has a macro that is none", domain)
    for match in _MACRO.finditer(text):
        letter, digits = match[2], match[3]
        if letter and (letter.lower() in "crt" or (digits and not int(digits))):
            raise _wrong(f"{word!r} has a macro that may not stand there", domain)


def _wrong(why: str, domain: str) -> _StopError:
    return _StopError(Result.PERMERROR, f"the record of {domain} is wrong: {why}")


# --- evaluation (section 5) --------------------------------------------------------------------


def _matches(check: _Check, term: _Term, domain: str) -> Asking[bool]:
    if term.name == "all":
        return True
    if term.network:
        network = ipaddress.ip_network(term.network, strict=False)
        return network.version == check.ip.version and check.ip in network
    _use(check, term.text, domain)
    target = domain
    if term.domain:
        target = yield from _expand(check, term.domain, domain)
    if term.name == "include":
        return (yield from _included(check, target))
    if term.name == "exists":
        return bool((yield from _addresses(check, target, "A")))
    if term.name == "a":
        found = yield from _addresses(check, target, _kind(check.ip))
        return _within(check.ip, found, term)
    if term.name == "mx":
        return (yield from _exchanged(check, term, target))
    names = yield from _validated(check)
    return any(name == target or name.endswith(f".{target}") for name in names)


def _included(check: _Check, target: str) -> Asking[bool]:
    found = yield from _host(check, target)
    if found.result is Result.NONE:
        raise _StopError(Result.PERMERROR, f"include:{target} leads to no SPF record")
    return found.result is Result.PASS


def _exchanged(check: _Check, term: _Term, target: str) -> Asking[bool]:
    answer = yield from ask(target, "MX")
    if answer.failed:
        raise _StopError(Result.TEMPERROR, f"DNS does not answer for {target}: {answer.why}")
    if answer.status is Status.NONE:
        _void(check, target)
    hosts = exchangers(answer)
    if len(hosts) > _NAMES:
        raise _StopError(Result.PERMERROR, f"{target} has more than {_NAMES} mail exchangers")
    for host in hosts:
        if not host:
            continue
        found = yield from ask(host, _kind(check.ip))
        if found.failed:
            raise _StopError(Result.TEMPERROR, f"DNS does not answer for {host}: {found.why}")
        if _within(check.ip, found.values, term):
            return True
    return False


def _addresses(check: _Check, name: str, kind: str) -> Asking[tuple[str, ...]]:
    answer = yield from ask(name, kind)
    if answer.failed:
        raise _StopError(Result.TEMPERROR, f"DNS does not answer for {name}: {answer.why}")
    if answer.status is Status.NONE:
        _void(check, name)
    return answer.values


def _validated(check: _Check) -> Asking[list[str]]:
    """The names that the source's address has, and that lead back to it (section 5.5)."""
    if check.validated is not None:
        return check.validated
    check.validated = []
    answer = yield from ask(check.ip.reverse_pointer, "PTR")
    if answer.status is Status.NONE:
        _void(check, check.ip.reverse_pointer)
    for name in answer.values[:_NAMES]:
        found = yield from ask(name, _kind(check.ip))
        if any(_same(one, check.ip) for one in found.values):
            check.validated.append(name.rstrip(".").lower())
    return check.validated


def _within(ip: Address, found: Sequence[str], term: _Term) -> bool:
    length = term.four if ip.version == 4 else term.six
    for one in found:
        network = ipaddress.ip_network(f"{one}/{length}", strict=False)
        if network.version == ip.version and ip in network:
            return True
    return False


def _same(text: str, ip: Address) -> bool:
    return ipaddress.ip_address(text) == ip


def _kind(ip: Address) -> str:
    return "A" if ip.version == 4 else "AAAA"


def _use(check: _Check, term: str, domain: str) -> None:
    check.lookups += 1
    if check.lookups > LOOKUPS:
        why = f"more than {LOOKUPS} terms ask DNS ({term} of {domain} is one too many)"
        raise _StopError(Result.PERMERROR, why)


def _void(check: _Check, name: str) -> None:
    check.voids += 1
    if check.voids > VOIDS:
        why = f"more than {VOIDS} terms find nothing ({name} is one too many)"
        raise _StopError(Result.PERMERROR, why)


# --- macros (section 7) --------------------------------------------------------------------------


def _expand(check: _Check, text: str, domain: str) -> Asking[str]:
    done, at = "", 0
    for match in _MACRO.finditer(text):
        done += text[at : match.start()]
        at = match.end()
        if match[1]:
            done += {"%": "%", "_": " ", "-": "%20"}[match[1]]
            continue
        value = yield from _value(check, match[2].lower(), domain)
        parts = re.split(f"[{re.escape(match[5] or '.')}]", value)
        if match[4]:
            parts.reverse()
        kept = ".".join(parts[-int(match[3]) :] if match[3] else parts)
        done += quote(kept, safe="-._~") if match[2].isupper() else kept
    done = (done + text[at:]).rstrip(".").lower()
    while len(done) > _DOMAIN and "." in done:
        done = done.partition(".")[2]
    return done


def _value(check: _Check, letter: str, domain: str) -> Asking[str]:
    local, _, at = check.sender.rpartition("@")
    if letter == "p":
        names = yield from _validated(check)
        exact = [one for one in names if one == domain]
        below = [one for one in names if one.endswith(f".{domain}")]
        return next(iter((*exact, *below, *names)), "unknown")
    if letter == "i":
        if check.ip.version == 4:
            return str(check.ip)
        return ".".join(check.ip.exploded.replace(":", ""))
    return {
        "s": check.sender,
        "l": local or "postmaster",
        "o": at,
        "d": domain,
        "v": "in-addr" if check.ip.version == 4 else "ip6",
        "h": check.helo,
    }[letter]
