"""What receivers look up about a From domain: MX, SPF, DKIM, DMARC and what goes with it. Pure.

Alignment is judged as DMARC does (RFC 7489 section 3.1), with the tree walk of its successor in
place of a list of public suffixes: the organizational domain is where the policy was found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ekiden.check.model import (
    DOCOMO,
    GMAIL,
    OUTLOOK,
    YAHOO,
    Finding,
    Level,
    finding,
    unanswered,
)
from ekiden.check.questions import Answer, Asking, Status, ask, exchangers
from ekiden.check.signatures import signature_verifies
from ekiden.check.sources import CheckedSource
from ekiden.check.spf import LOOKUPS, Result, Spf, check_host
from ekiden.dkim import records
from ekiden.dkim.keys import Key, record_text
from ekiden.text import printable

_WALK: Final = 8  # names that are asked for a policy
_MANY: Final = LOOKUPS - 2


@dataclass(frozen=True, slots=True)
class CheckedDomain:
    """A From domain as it is checked.

    Args:
        name: The domain, in A-labels.
        sources: Where its mail leaves from.
        keys: The keys that sign its mail.
        return_domain: The domain of its return addresses; "" for its own.
        now: UNIX seconds.
    """

    name: str
    sources: tuple[CheckedSource, ...]
    keys: tuple[Key, ...]
    return_domain: str = ""
    now: float = 0.0

    @property
    def mail_from(self) -> str:
        """The domain that SPF is asked about."""
        return self.return_domain or self.name


@dataclass(frozen=True, slots=True)
class _Policy:
    at: str  # where the record was found
    tags: dict[str, str]


def judge_domain(domain: CheckedDomain) -> Asking[list[Finding]]:
    """Return what receivers find about a From domain."""
    found = [(yield from _reachable(domain.name))]
    passes = True
    for name in dict.fromkeys((domain.name, domain.mail_from)):
        spf = yield from _spf(domain, name)
        found += spf
        if name == domain.mail_from:
            passes = bool(spf) and all(one.level in {Level.PASS, Level.WARN} for one in spf)
    signed = []
    for key in domain.keys:
        one = yield from _dkim(domain, key)
        found.append(one)
        if one.level is not Level.FAIL:
            signed.append(key.domain)
    if not domain.keys:
        found.append(
            finding(
                "dkim",
                domain.name,
                Level.FAIL,
                "no key is configured that signs for it",
                f"ekiden dkim keygen --domain {domain.name} --selector SELECTOR",
                f"{GMAIL}; {YAHOO}; {OUTLOOK}",
            )
        )
    found += yield from _dmarc(domain, signed, spf_passes=passes)
    if domain.return_domain and domain.return_domain != domain.name:
        found.append((yield from _returns(domain)))
    found.append((yield from _sts(domain)))
    found.append((yield from _tls_report(domain)))
    found.append(
        finding(
            "contacts",
            domain.name,
            Level.INFO,
            f"postmaster@{domain.name} and abuse@{domain.name} must take mail",
            "complaints and questions of receivers go there; DNS cannot say whether they do",
            "RFC 2142; RFC 5321 section 4.5.1",
        )
    )
    return found


def _reachable(name: str) -> Asking[Finding]:
    by = f"{DOCOMO}; RFC 5321 section 5.1"
    answer = yield from ask(name, "MX")
    if answer.failed:
        return unanswered("mx", name, answer.why)
    hosts = exchangers(answer)
    if hosts == [""]:
        what = "a null MX says that it takes no mail: receivers refuse mail from it (RFC 7505)"
        return finding("mx", name, Level.FAIL, what, "publish an MX that takes replies", by)
    if hosts:
        return finding("mx", name, Level.PASS, f"mail to it goes to {hosts[0]}")
    for kind in ("A", "AAAA"):
        address = yield from ask(name, kind)
        if address.failed:
            return unanswered("mx", name, address.why)
        if address.values:
            what = f"it has no MX; mail to it goes to {address.values[0]}"
            return finding("mx", name, Level.WARN, what, "publish an MX", by)
    what = "it has neither MX nor address: nobody can answer, and some refuse such senders"
    return finding("mx", name, Level.FAIL, what, "publish an MX that takes replies", by)


# --- SPF ------------------------------------------------------------------------------------------


def _spf(domain: CheckedDomain, name: str) -> Asking[list[Finding]]:
    by = f"{DOCOMO}; RFC 7208" if name != domain.mail_from else f"{GMAIL}; {YAHOO}; {OUTLOOK}"
    if not domain.sources:
        answer = yield from ask(name, "TXT")
        there = [one for one in answer.values if one.lower().startswith("v=spf1")]
        what = f"the record is {there[0][:200]}" if there else "it publishes no SPF record"
        remedy = "configure sources, so that it can be evaluated for them"
        return [finding("spf", name, Level.INFO if there else Level.FAIL, what, remedy, by)]
    found = []
    for source in domain.sources:
        spf = yield from check_host(source.address, name, helo=source.ehlo)
        found.append(_spf_of(spf, source, name, by, first=domain.sources))
    if len({(one.level, one.what) for one in found}) == 1:
        return found[:1]
    return found


def _spf_of(
    spf: Spf, source: CheckedSource, name: str, by: str, *, first: Sequence[CheckedSource]
) -> Finding:
    terms = " ".join(f"ip{one.address.version}:{one.address}" for one in first)
    if spf.result is Result.PASS:
        if spf.lookups > _MANY:
            what = f"pass, with {spf.lookups} of the {LOOKUPS} terms that may ask DNS"
            remedy = "replace includes by the addresses you need before one more breaks it"
            return finding("spf", name, Level.WARN, what, remedy, "RFC 7208 section 4.6.4")
        return finding("spf", name, Level.PASS, f"pass by {spf.why}")
    if spf.result is Result.TEMPERROR:
        return finding("spf", name, Level.UNKNOWN, spf.why, "try again", by)
    if spf.result is Result.NONE:
        remedy = f'publish {name}. TXT "v=spf1 {terms} -all"'
        return finding("spf", name, Level.FAIL, "it publishes no SPF record", remedy, by)
    if spf.result is Result.PERMERROR:
        return finding("spf", name, Level.FAIL, f"permerror: {spf.why}", "mend the record", by)
    address = f"ip{source.address.version}:{source.address}"
    what = f"{spf.result} for {source.name} ({source.address}) by {spf.why}"
    return finding("spf", name, Level.FAIL, what, f"add {address} before its `all`", by)


# --- DKIM -----------------------------------------------------------------------------------------


def _dkim(domain: CheckedDomain, key: Key) -> Asking[Finding]:
    by, check = f"{GMAIL}; {YAHOO}; {OUTLOOK}", f"dkim {key.selector}"
    answer = yield from ask(key.record_name, "TXT")
    if answer.failed:
        return unanswered(check, domain.name, answer.why)
    publish = f'publish {key.record_name}. TXT "{record_text(key)}"'
    if answer.status is Status.NONE:
        what = f"{key.record_name} publishes no key"
        return finding(check, domain.name, Level.FAIL, what, publish, by)
    if len(answer.values) > 1:
        what = f"{key.record_name} has {len(answer.values)} TXT records; receivers accept one"
        return finding(check, domain.name, Level.FAIL, what, publish, by)
    try:
        problems = records.problems(key, records.parse_record(answer.values[0]))
    except records.RecordError as error:
        problems = [str(error)]
    if problems:
        return finding(check, domain.name, Level.FAIL, "; ".join(problems), publish, by)
    verdict = signature_verifies(key, domain.name, answer.values[0], domain.now)
    if verdict is False:
        what = "a test message signed with the key does not verify with the published record"
        return finding(check, domain.name, Level.FAIL, what, publish, by)
    how = "the record is ours" if verdict is None else "a signed test message verifies"
    bits = getattr(key.private, "key_size", 2048)
    if bits < 1024:
        what = f"{how}, but the key has {bits} bits, too few for anybody"
        return finding(check, domain.name, Level.FAIL, what, "make one of 2048 bits", GMAIL)
    return finding(check, domain.name, Level.PASS, f"{how} ({key.algorithm.value})")


# --- DMARC ----------------------------------------------------------------------------------------


def _dmarc(
    domain: CheckedDomain, signed: Sequence[str], *, spf_passes: bool
) -> Asking[list[Finding]]:
    by = f"{GMAIL}; {YAHOO}; {OUTLOOK}; RFC 7489"
    publish = f'publish _dmarc.{domain.name}. TXT "v=DMARC1; p=none; rua=mailto:ADDRESS"'
    policy = yield from _policy(domain.name)
    if isinstance(policy, Answer):
        return [unanswered("dmarc", domain.name, policy.why)]
    if isinstance(policy, str) or policy is None:
        what = policy or "it publishes no DMARC policy"
        return [finding("dmarc", domain.name, Level.FAIL, what, publish, by)]
    own = policy.at == domain.name
    said = policy.tags.get("p", "") if own else policy.tags.get("sp", policy.tags.get("p", ""))
    if said not in {"none", "quarantine", "reject"}:
        what = f"the policy of {policy.at} is {printable(said, 40)!r}, which is none"
        return [finding("dmarc", domain.name, Level.FAIL, what, publish, by)]
    found = [finding("dmarc", domain.name, Level.PASS, f"p={said}, published at {policy.at}")]
    if "rua" not in policy.tags:
        what = "nobody gets the reports (rua)"
        remedy = "add rua=mailto:ADDRESS to see who sends in its name"
        found.append(finding("dmarc-reports", domain.name, Level.INFO, what, remedy, YAHOO))
    strict = {"spf": policy.tags.get("aspf") == "s", "dkim": policy.tags.get("adkim") == "s"}
    by_spf = spf_passes and _aligned(domain.mail_from, domain.name, policy.at, strict["spf"])
    by_dkim = any(_aligned(one, domain.name, policy.at, strict["dkim"]) for one in signed)
    ways = [name for name, holds in (("SPF", by_spf), ("DKIM", by_dkim)) if holds]
    if not ways:
        what = "neither SPF nor DKIM passes in alignment with it: DMARC fails"
        remedy = "sign with a key of its own domain, or use a return_domain below it"
        found.append(finding("alignment", domain.name, Level.FAIL, what, remedy, by))
    elif len(ways) < 2:
        other = "DKIM" if by_spf else "SPF"
        what = f"DMARC passes by {ways[0]} alone; {other} is not aligned or does not pass"
        remedy = "where one breaks on the way (forwarding), the other holds: have both"
        found.append(finding("alignment", domain.name, Level.WARN, what, remedy, by))
    else:
        found.append(
            finding("alignment", domain.name, Level.PASS, "SPF and DKIM are aligned with it")
        )
    return found


def _policy(name: str) -> Asking[_Policy | Answer | str | None]:
    labels = name.split(".")
    for at in range(min(len(labels) - 1, _WALK)):
        here = ".".join(labels[at:])
        answer = yield from ask(f"_dmarc.{here}", "TXT")
        if answer.failed:
            return answer
        there = [one for one in answer.values if one.replace(" ", "").startswith("v=DMARC1")]
        if len(there) > 1:
            return f"_dmarc.{here} publishes {len(there)} policies; there may be one"
        if there:
            try:
                tags = records.parse_tags(there[0])
            except records.RecordError as error:
                return f"the policy of {here} cannot be read: {error}"
            return _Policy(here, {key.lower(): value.lower() for key, value in tags.items()})
    return None


def _aligned(one: str, other: str, organization: str, strict: bool) -> bool:  # noqa: FBT001 - a tag
    one, other = one.lower(), other.lower()
    if strict or one == other:
        return one == other
    within = (one == organization or one.endswith(f".{organization}")) and (
        other == organization or other.endswith(f".{organization}")
    )
    return within or one.endswith(f".{other}") or other.endswith(f".{one}")


# --- beside ---------------------------------------------------------------------------------------


def _returns(domain: CheckedDomain) -> Asking[Finding]:
    name = domain.return_domain
    answer = yield from ask(name, "MX")
    if answer.failed:
        return unanswered("return-path", name, answer.why)
    hosts = [host for host in exchangers(answer) if host]
    if hosts:
        return finding("return-path", name, Level.PASS, f"bounces go to {hosts[0]}")
    what = "its return addresses have no MX: bounces are lost, and some refuse such senders"
    remedy = f"publish {name}. MX 10 HOST, where HOST is this machine (docs/inbound.md)"
    return finding("return-path", name, Level.FAIL, what, remedy, "RFC 5321 section 4.4")


def _sts(domain: CheckedDomain) -> Asking[Finding]:
    answer = yield from ask(f"_mta-sts.{domain.name}", "TXT")
    there = any(one.startswith("v=STSv1") for one in answer.values)
    what = "it publishes MTA-STS" if there else "it publishes no MTA-STS"
    remedy = "" if there else "protects mail to it, not from it: RFC 8461"
    return finding("mta-sts", domain.name, Level.INFO, what, remedy, "RFC 8461")


def _tls_report(domain: CheckedDomain) -> Asking[Finding]:
    answer = yield from ask(f"_smtp._tls.{domain.name}", "TXT")
    there = any(one.startswith("v=TLSRPTv1") for one in answer.values)
    what = "it asks for TLS reports" if there else "it asks for no TLS reports"
    return finding("tls-rpt", domain.name, Level.INFO, what, "", "RFC 8460")
