"""What each value alone cannot show: names that must exist, be unique, or agree with each other."""

import ipaddress
import re
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from urllib.parse import urlsplit

from ekiden.config.egress import Route
from ekiden.config.locate import Path
from ekiden.config.pattern import normal
from ekiden.config.schema import Config
from ekiden.config.sending import Backoff
from ekiden.localtime import MINUTES, Span

SOCKET_PATH_BYTES: Final = 107  # sockaddr_un.sun_path on Linux, without its final NUL
_COLOR: Final = re.compile(r"#[0-9a-fA-F]{6}")
_DESTINATION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class Found:
    """A contradiction in an otherwise well-formed configuration."""

    path: Path
    what: str
    remedy: str = ""


def check(config: Config) -> Iterator[Found]:
    """Yield every contradiction in `config`."""
    yield from _names(config)
    yield from _pools(config)
    yield from _routes(config)
    yield from _delivery(config)
    yield from _inbound(config)
    yield from _reputation(config)
    yield from _web(config)
    yield from _events(config)
    yield from _warmup(config)
    yield from _hours(config)
    if len(str(config.control.socket).encode()) > SOCKET_PATH_BYTES:
        yield Found(
            ("control", "socket"),
            f"the path of a Unix socket has at most {SOCKET_PATH_BYTES} bytes",
            "put it into a shorter directory, such as /run/ekiden",
        )


def _names(config: Config) -> Iterator[Found]:
    yield from _unique("source", "name", (source.name for source in config.sources))
    yield from _unique("pool", "name", (pool.name for pool in config.pools))
    yield from _unique("route", "pattern", (normal(route.pattern) for route in config.routes))
    for at, source in enumerate(config.sources):
        if source.address6 is not None and source.address.version == 6:
            yield Found(("source", at, "address6"), "`address` is an IPv6 address already")
    pairs = ((normal(key.domain), normal(key.selector)) for key in config.dkim.keys)
    seen: set[Hashable] = set()
    for at, pair in enumerate(pairs):
        if pair in seen:
            what = f'the key "{pair[1]}" of {pair[0]} is given twice'
            yield Found(("dkim", "key", at, "selector"), what, "give each key its own selector")
        seen.add(pair)


def _unique(section: str, key: str, values: Iterable[str]) -> Iterator[Found]:
    seen: set[str] = set()
    for at, value in enumerate(values):
        path = (section, at, key)
        if not value:
            yield Found(path, "is empty", "give it a name")
        elif value in seen:
            yield Found(path, f'"{value}" is given twice', f"every {section} has its own {key}")
        seen.add(value)


def _pools(config: Config) -> Iterator[Found]:
    sources = {source.name for source in config.sources}
    pools = {pool.name for pool in config.pools}
    defaults = 0
    for at, pool in enumerate(config.pools):
        if not pool.sources:
            yield Found(("pool", at, "sources"), "a pool needs at least one source")
        for position, name in enumerate(pool.sources):
            if name not in sources:
                yield Found(
                    ("pool", at, "sources", position),
                    f'there is no source "{name}"',
                    _known("source", sources),
                )
        defaults += pool.default
        if pool.default and defaults > 1:
            yield Found(("pool", at, "default"), "there is a default pool already")
    for name, chosen in config.configuration_sets.items():
        if chosen.pool and chosen.pool not in pools:
            path = ("configuration_set", name, "pool")
            yield Found(path, f'there is no pool "{chosen.pool}"', _known("pool", pools))
        if chosen.topic and not chosen.contact_list:
            yield Found(("configuration_set", name, "topic"), "a topic needs its list", "set list")


def _known(kind: str, names: set[str]) -> str:
    return f"known: {', '.join(sorted(names))}" if names else f"add a [[{kind}]]"


def _routes(config: Config) -> Iterator[Found]:
    for at, route in enumerate(config.routes):
        path = ("route", at)
        if bool(route.user) != (route.password_file is not None):
            key = "user" if route.user else "password_file"
            yield Found((*path, key), "user and password_file belong together")
        tls = route.tls or config.tls.policy
        if route.user and tls not in {"required", "verified"} and not _local(route):
            yield Found(
                (*path, "tls" if route.tls else "user"),
                f'a password would be sent with TLS "{tls}"',
                'set tls = "verified"',
            )
    for name, chosen in config.configuration_sets.items():
        domains = {normal(key.domain) for key in config.dkim.keys}
        for position, domain in enumerate(chosen.dkim):
            if normal(domain) not in domains:
                yield Found(
                    ("configuration_set", name, "dkim", position),
                    f"there is no DKIM key of {domain}",
                    "add a [[dkim.key]]",
                )


def _inbound(config: Config) -> Iterator[Found]:
    inbound = config.inbound
    if (inbound.tls_certificate is None) != (inbound.tls_key is None):
        key = "tls_certificate" if inbound.tls_key is None else "tls_key"
        yield Found(("inbound", key), "tls_certificate and tls_key belong together")
    returned = inbound.return_domain or any(
        one.return_domain for one in config.configuration_sets.values()
    )
    if inbound.listen and not returned and not inbound.feedback:
        what = "nothing would be accepted there"
        yield Found(("inbound", "listen"), what, "set return_domain or feedback")
    for position, address in enumerate(inbound.feedback):
        local, _, domain = address.rpartition("@")
        if not local or not domain or " " in address:
            yield Found(("inbound", "feedback", position), "is no mail address")
    imap = inbound.imap
    if imap.host and not (imap.user and imap.password_file is not None):
        path = ("inbound", "imap", "password_file" if imap.user else "user")
        yield Found(path, "a mailbox needs user and password_file")
    if imap.host and imap.tls == "off" and not _is_local(imap.host):
        yield Found(("inbound", "imap", "tls"), "the password would be sent in the clear")


def _reputation(config: Config) -> Iterator[Found]:
    one = config.reputation
    for kind, warn, stop in (
        ("bounces", one.warn_bounces, one.stop_bounces),
        ("complaints", one.warn_complaints, one.stop_complaints),
    ):
        if stop < warn:
            yield Found(("reputation", f"stop_{kind}"), f"is below warn_{kind}")
        for name, chosen in config.configuration_sets.items():
            least, most = getattr(chosen, f"warn_{kind}"), getattr(chosen, f"stop_{kind}")
            least = warn if least is None else least
            if (stop if most is None else most) < least:
                key = f"stop_{kind}" if most is not None else f"warn_{kind}"
                what = f"stopping ({kind}) comes before the warning"
                yield Found(("configuration_set", name, key), what, f"set warn_{kind} as well")
    if one.least > 2 * one.volume:
        yield Found(("reputation", "least"), "is more than a rate is ever over", "raise volume")


def _web(config: Config) -> Iterator[Found]:
    web = config.web
    if wrong := _wrong_url(web.public_url) if web.public_url else "":
        yield Found(("web", "public_url"), wrong, 'such as "https://news.example.com"')
    elif web.public_url and urlsplit(web.public_url).query:
        yield Found(("web", "public_url"), "has a query", "paths are appended to it")
    if web.public_listen and not web.public_url:
        what = "the links in mail need to know how recipients reach it"
        yield Found(("web", "public_listen"), what, "set web.public_url")
    if web.public_url and not web.public_listen:
        what = "the links in mail would lead nowhere"
        yield Found(("web", "public_url"), what, "set web.public_listen")
    if not _COLOR.fullmatch(web.color):
        yield Found(("web", "color"), "is no colour", 'write it as "#1a56a0"')
    if web.signup.lists and not web.public_listen:
        yield Found(("web", "signup", "lists"), "nothing listens for forms", "set public_listen")
    if web.signup.lists and "@" not in web.signup.sender:
        yield Found(("web", "signup", "sender"), "confirmation mails need a From address")
    if set(web.admin.listen) & set(web.public_listen):
        what = "is where the public part listens"
        yield Found(("web", "admin", "listen"), what, "give the admin part a port of its own")


def _warmup(config: Config) -> Iterator[Found]:
    warmup = config.warmup
    for key, value in (("hours", warmup.hours), ("time_zone", warmup.time_zone)):
        if not value:
            yield Found(("warmup", key), "is empty")
            return
    if '"' in warmup.engaged_column or "\\" in warmup.engaged_column:
        yield Found(("warmup", "engaged_column"), "holds a quote or a backslash")
    yield from _unique("plan", "name", (plan.name for plan in warmup.plans))
    if Span.parse(warmup.hours).end > MINUTES or warmup.hours.startswith("*"):
        what = "sending hours are one span within a day"
        yield Found(("warmup", "hours"), what, 'such as "08:00-20:00"')
    for at, plan in enumerate(warmup.plans):
        path = ("warmup", "plan", at)
        if any(after <= before for before, after in pairwise(plan.days)):
            yield Found((*path, "days"), "the caps must rise from day to day")
        elif not plan.days and plan.end < plan.start:
            yield Found((*path, "end"), "is less than the start")
    for kind in ("deferrals", "bounces", "complaints", "blocks"):
        if getattr(warmup, f"back_{kind}") < getattr(warmup, f"hold_{kind}"):
            yield Found(("warmup", f"back_{kind}"), f"is below hold_{kind}")


def _hours(config: Config) -> Iterator[Found]:
    hours = config.hours
    places: list[tuple[Path, tuple[str, ...], tuple[str, ...]]]
    places = [(("hours",), hours.bulk, hours.transactional)]
    places += [
        (("hours", "provider", at), one.bulk, one.transactional)
        for at, one in enumerate(hours.providers)
    ]
    for path, bulk, transactional in places:
        for key, spans in (("bulk", bulk), ("transactional", transactional)):
            if len(set().union(*(Span.parse(span).minutes() for span in spans))) == MINUTES:
                what = "leaves no minute of the day"
                yield Found((*path, key), what, "to send nothing there: ekiden suspend")


def _wrong_url(url: str) -> str:
    """Return what is wrong with a URL of ours; "" if nothing is."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no URL"
    if parts.scheme not in {"http", "https"} or not host or parts.username or parts.fragment:
        return "is no URL of the web"
    if parts.scheme == "http" and not _is_local(host):
        return "would travel in the clear"
    return "" if url.isascii() and " " not in url else "is no URL"


def _local(route: Route) -> bool:
    return _is_local(route.host)


def _is_local(host: str) -> bool:
    if normal(host) == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _delivery(config: Config) -> Iterator[Found]:
    retry = config.delivery.retry
    if isinstance(retry, Backoff):
        if retry.first <= 0:
            yield Found(("delivery", "retry", "first"), "must be longer than 0s")
        if retry.ceiling < retry.first:
            yield Found(("delivery", "retry", "ceiling"), "is shorter than the first delay")
    else:
        for position, delay in enumerate(retry):
            if delay <= 0:
                yield Found(("delivery", "retry", position), "must be longer than 0s")


def _events(config: Config) -> Iterator[Found]:
    events = config.events
    if not events.types:
        yield Found(("events", "types"), "no event would be written", "name at least one type")
    yield from _destination_names(config)
    for at, hook in enumerate(events.webhooks):
        if wrong := _wrong_url(hook.url):
            yield Found(("events", "webhook", at, "url"), wrong, "use https://")
    for at, command in enumerate(events.commands):
        if not command.command or not command.command[0].startswith("/"):
            where = ("events", "command", at, "command")
            yield Found(where, "the program must be named by its whole path")
    for at, file in enumerate(events.files):
        if file.directory in {events.directory, *(one.directory for one in events.files[:at])}:
            where = ("events", "file", at, "directory")
            yield Found(where, "something else writes events there", "name another directory")


def _destination_names(config: Config) -> Iterator[Found]:
    events = config.events
    kinds = {
        "file": events.files,
        "webhook": events.webhooks,
        "command": events.commands,
        "kafka": events.kafkas,
        "amqp": events.amqps,
    }
    names: set[str] = set()
    for kind, destinations in kinds.items():
        for at, one in enumerate(destinations):
            path = ("events", kind, at, "name")
            if not _DESTINATION.fullmatch(one.name):
                what = "a destination's name has letters, digits, - and _, at most 40"
                yield Found(path, what)
            elif one.name in names:
                yield Found(path, f'"{one.name}" is given twice', "give each its own name")
            names.add(one.name)
    for name, chosen in config.configuration_sets.items():
        for position, wanted in enumerate(chosen.event_destinations or ()):
            if wanted not in names:
                yield Found(
                    ("configuration_set", name, "event_destinations", position),
                    f'there is no destination "{wanted}"',
                    f"known: {', '.join(sorted(names))}" if names else "add an [[events.webhook]]",
                )
