"""Who fetched an image or followed a link: a person, or a machine on the way to one. Pure.

**Theory.** Mail is looked at by many before its reader: Apple's Mail Privacy Protection fetches
every image when the mail arrives, Gmail and Yahoo fetch images for their users through proxies of
their own, security scanners follow every link within seconds. None of them shows that anybody read
anything. Four signs tell them apart, the surest first: what the user agent calls itself; an address
of a network where only machines live; a user agent that is cut down as Apple's is; a reaction
sooner than a person can have one.

**Contract.** `classify_agent` answers for any text and never raises. In doubt it says `person`: a
machine taken for a reader keeps somebody on a list; a reader taken for a machine loses them.
What a proxy fetched for a reader at the time of reading cannot be told from a prefetch; it is a
machine's, so clicks and replies are what decides for readers behind Gmail.
"""

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ekiden import limits

TOO_SOON: Final = 2.0  # seconds from the delivery; below it nobody has read anything


class AgentKind(StrEnum):
    """What fetched."""

    PERSON = "person"
    PREFETCH = "prefetch"  # everything, when the mail arrives
    PROXY = "proxy"  # for a reader, or ahead of one
    SCANNER = "scanner"  # follows links to look for malice
    BOT = "bot"  # a program of another kind: previews, crawlers, libraries


@dataclass(frozen=True, slots=True)
class Agent:
    """Who it was.

    Args:
        kind: What fetched.
        name: Whose it is; "" for people.
    """

    kind: AgentKind
    name: str = ""

    @property
    def human(self) -> bool:
        """Whether it counts as a person."""
        return self.kind is AgentKind.PERSON


_PERSON: Final = Agent(AgentKind.PERSON)

# What agents call themselves, in lower case; the first that is found decides.
_NAMES: Final = (
    ("googleimageproxy", AgentKind.PROXY, "Gmail"),
    ("ggpht.com", AgentKind.PROXY, "Gmail"),
    ("yahoomailproxy", AgentKind.PROXY, "Yahoo"),
    ("yahoocachesystem", AgentKind.PROXY, "Yahoo"),
    ("duckduckgo-email", AgentKind.PROXY, "DuckDuckGo"),
    ("barracuda", AgentKind.SCANNER, "Barracuda"),
    ("proofpoint", AgentKind.SCANNER, "Proofpoint"),
    ("mimecast", AgentKind.SCANNER, "Mimecast"),
    ("messagelabs", AgentKind.SCANNER, "Symantec"),
    ("symantec", AgentKind.SCANNER, "Symantec"),
    ("fireeye", AgentKind.SCANNER, "Trellix"),
    ("trellix", AgentKind.SCANNER, "Trellix"),
    ("forcepoint", AgentKind.SCANNER, "Forcepoint"),
    ("websense", AgentKind.SCANNER, "Forcepoint"),
    ("trendmicro", AgentKind.SCANNER, "Trend Micro"),
    ("trend micro", AgentKind.SCANNER, "Trend Micro"),
    ("tmaseg", AgentKind.SCANNER, "Trend Micro"),
    ("zscaler", AgentKind.SCANNER, "Zscaler"),
    ("sophos", AgentKind.SCANNER, "Sophos"),
    ("cloudmark", AgentKind.SCANNER, "Cloudmark"),
    ("cisco", AgentKind.SCANNER, "Cisco"),
    ("ironport", AgentKind.SCANNER, "Cisco"),
    ("avanan", AgentKind.SCANNER, "Check Point"),
    ("bitdefender", AgentKind.SCANNER, "Bitdefender"),
    ("kaspersky", AgentKind.SCANNER, "Kaspersky"),
    ("urlscan", AgentKind.SCANNER, "urlscan"),
    ("safebrowsing", AgentKind.SCANNER, "Google Safe Browsing"),
    ("bingpreview", AgentKind.SCANNER, "Microsoft"),
    ("headlesschrome", AgentKind.BOT, "headless Chrome"),
    ("phantomjs", AgentKind.BOT, "PhantomJS"),
    ("facebookexternalhit", AgentKind.BOT, "Facebook"),
    ("slack-imgproxy", AgentKind.BOT, "Slack"),
    ("whatsapp/", AgentKind.BOT, "WhatsApp"),
)

# Programs and libraries, by the word that starts them or stands for the trade.
_PROGRAM: Final = re.compile(
    r"\A(?:curl|wget|python|python-requests|python-urllib|aiohttp|httpx|go-http-client|java|okhttp"
    r"|apache-httpclient|libwww-perl|lwp|ruby|php|node|axios|undici|guzzlehttp|postmanruntime|dart)"
    r"\b|\b(?:[a-z]*bot|crawler|spider|monitor(?:ing)?|link ?check(?:er)?|preview)\b"
)

# What Gmail fetches with when a mail arrives: a browser that never existed in this form.
_GMAIL_PREFETCH: Final = re.compile(r"chrome/42\.0\.2311\.135 safari/537\.36 edge/12\.246")

_APPLE: Final = "mozilla/5.0"  # all that Mail Privacy Protection says of itself

# Networks in which machines live. Google publishes its own; Microsoft's are Exchange Online's, from
# which Defender follows links.
_NETWORKS: Final = tuple(
    (ipaddress.ip_network(network), Agent(kind, name))
    for network, kind, name in (
        ("66.102.0.0/20", AgentKind.PROXY, "Gmail"),
        ("66.249.80.0/20", AgentKind.PROXY, "Gmail"),
        ("64.233.160.0/19", AgentKind.PROXY, "Gmail"),
        ("72.14.192.0/18", AgentKind.PROXY, "Gmail"),
        ("74.125.0.0/16", AgentKind.PROXY, "Gmail"),
        ("40.92.0.0/15", AgentKind.SCANNER, "Microsoft"),
        ("40.94.0.0/16", AgentKind.SCANNER, "Microsoft"),
        ("40.107.0.0/16", AgentKind.SCANNER, "Microsoft"),
        ("52.100.0.0/14", AgentKind.SCANNER, "Microsoft"),
        ("104.47.0.0/17", AgentKind.SCANNER, "Microsoft"),
    )
)


def classify_agent(user_agent: str, ip: str, seconds_since_delivery: float | None) -> Agent:
    """Say who fetched an image or followed a link.

    Args:
        user_agent: The request's User-Agent; "" if it had none.
        ip: Where it came from; "" or anything else if that is not known.
        seconds_since_delivery: From the receiver's 250 to the request; None if it is not known.
    """
    text = " ".join(user_agent[: limits.USER_AGENT].lower().split())
    if not text:
        return Agent(AgentKind.BOT)
    for word, kind, name in _NAMES:
        if word in text:
            return Agent(kind, name)
    if _GMAIL_PREFETCH.search(text):
        return Agent(AgentKind.PREFETCH, "Gmail")
    if text == _APPLE:
        return Agent(AgentKind.PREFETCH, "Apple")
    if _PROGRAM.search(text):
        return Agent(AgentKind.BOT, "")
    if (found := _of_network(ip)) is not None:
        return found
    if seconds_since_delivery is not None and seconds_since_delivery < TOO_SOON:
        return Agent(AgentKind.SCANNER, "")
    return _PERSON


def _of_network(ip: str) -> Agent | None:
    try:
        address = ipaddress.ip_address(ip.strip()[:60])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return None
        address = address.ipv4_mapped
    return next((agent for network, agent in _NETWORKS if address in network), None)
