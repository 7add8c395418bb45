"""What there is to check about the sender, from the configuration; at a command and in the daemon.

`judge` carries the judgements of `check/` out side by side; `Watch` does so in the background of
the daemon, and tells the operator of what has become bad, once, until it is well again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from ekiden import settings
from ekiden.check.domains import CheckedDomain, judge_domain
from ekiden.check.model import Finding, Level
from ekiden.check.resolve import Resolver, run
from ekiden.check.sources import CheckedSource, judge_source
from ekiden.config import Config
from ekiden.errors import NotFoundError, UnavailableError

_log = structlog.get_logger("ekiden.check")
_FIRST: Final = 60.0  # seconds after the start: mail that waits comes first
_AGAIN: Final = 60.0  # seconds after a disk that was full


@dataclass(frozen=True, slots=True)
class Subjects:
    """What is checked.

    Args:
        sources: The sources.
        domains: The From domains.
    """

    sources: tuple[CheckedSource, ...]
    domains: tuple[CheckedDomain, ...]


def subjects(config: Config, now: float, only: str = "") -> Subjects:
    """Return what the configuration has to be checked.

    Args:
        config: The configuration.
        now: UNIX seconds.
        only: A source's name or address, or a domain; "" for everything. A domain without keys of
            ours may be named as well.

    Raises:
        ConfigError: A key cannot be read.
        NotFoundError: It is neither.
    """
    own = settings.hostname(config)
    sources = tuple(
        CheckedSource(one.name, address, one.ehlo or own)
        for one in config.sources
        for address in (one.address, one.address6)
        if address is not None
    )
    keys = settings.keys(config)
    back = {
        name: one.return_domain
        for one in config.configuration_sets.values()
        for name in one.dkim
        if one.return_domain
    }
    wanted = only.lower().rstrip(".")
    names = [wanted] if "." in wanted and not _is_source(only, sources) else list(keys)
    domains = tuple(
        CheckedDomain(
            name,
            sources,
            keys.get(name, ()),
            back.get(name, config.inbound.return_domain),
            now,
        )
        for name in names
    )
    if not only:
        return Subjects(sources, domains)
    chosen = tuple(one for one in sources if only in {one.name, str(one.address)})
    if chosen:
        return Subjects(chosen, ())
    if "." not in wanted:
        known = ", ".join([*dict.fromkeys(one.name for one in sources), *keys]) or "none"
        raise NotFoundError(
            "this is neither a source nor a domain", where=only[:100], remedy=f"known: {known}"
        )
    return Subjects((), domains)


def _is_source(text: str, sources: Sequence[CheckedSource]) -> bool:
    return any(text in {one.name, str(one.address)} for one in sources)


async def judge(config: Config, what: Subjects, blocklists: Sequence[str]) -> list[Finding]:
    """Ask DNS and return what was found, in the order of the subjects."""
    servers = [(one.address, one.port) for one in config.dns.nameservers]
    resolver = Resolver(servers, config.dns.timeout)
    found = await asyncio.gather(
        *(run(judge_source(one, blocklists), resolver) for one in what.sources),
        *(run(judge_domain(one), resolver) for one in what.domains),
    )
    return [finding for each in found for finding in each]


class Watch:
    """Checks in the background of the daemon.

    Args:
        config: Gives the configuration in force.
        now: UNIX seconds.
        tell: Writes an alert: its scope and its text.
    """

    def __init__(
        self,
        config: Callable[[], Config],
        *,
        now: Callable[[], float],
        tell: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self._config = config
        self._now = now
        self._tell = tell
        self._known: set[tuple[str, str]] = set()
        self.failing: tuple[Finding, ...] = ()

    async def run(self) -> None:
        """Run until cancelled."""
        await asyncio.sleep(_FIRST)
        while True:
            config = self._config()
            try:
                if config.check.watch:
                    await self.round()
            except UnavailableError as error:
                _log.error("checks of the sender are not written", error=str(error))
                await asyncio.sleep(_AGAIN)
            except Exception:  # noqa: BLE001 - a fault here must not end the delivery of mail
                _log.exception("the sender cannot be checked")
                await asyncio.sleep(config.check.interval)
            else:
                await asyncio.sleep(config.check.interval)

    async def round(self) -> None:
        """Check once, and tell what has become bad.

        Raises:
            UnavailableError: It cannot be told.
        """
        config = self._config()
        found = await judge(config, subjects(config, self._now()), config.check.blocklists)
        self.failing = tuple(one for one in found if one.level is Level.FAIL)
        bad = {(one.subject, one.check): one for one in self.failing}
        unsaid = {(one.subject, one.check) for one in found if one.level is Level.UNKNOWN}
        for key in bad.keys() - self._known:
            one = bad[key]
            remedy = f"; {one.remedy}" if one.remedy else ""
            _log.error("a check of the sender fails", subject=one.subject, check=one.check)
            await self._tell(f"check:{one.subject}", f"{one.check}: {one.what}{remedy}")
        for subject, check in self._known - bad.keys() - unsaid:
            _log.info("a check of the sender passes again", subject=subject, check=check)
        self._known = set(bad) | (self._known & unsaid)
