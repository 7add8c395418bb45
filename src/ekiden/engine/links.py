"""The links of outgoing mail: how to leave, what is tracked, where they lead.

One `LinkMaker` for the installation, one `JobLinks` for each job in play. Whatever does not depend
on the recipient is made once a job; a message then costs one token to leave by and, where it is
tracked, one that says whose it was.

Bulk mail carries `List-Unsubscribe` and `List-Unsubscribe-Post` (RFC 2369, RFC 8058 section 3.1);
they are signed like every other field that the engine adds. They replace fields of the same name
that came with the content: two ways to leave, of which one is not ours to keep, are one too many.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from ekiden.message.content import Content
from ekiden.message.tokens import About, Purpose, Tokens, job_mark, pack_link
from ekiden.message.tracking import SEEN, Tracking, is_trackable
from ekiden.queue.model import JobFacts, Priority

ONE_CLICK: Final = "List-Unsubscribe=One-Click"  # RFC 8058 section 3.1
_NAMES: Final = ("unsubscribe_url", "preferences_url", "amazonSESUnsubscribeUrl")


@dataclass(frozen=True, slots=True)
class TrackingOptions:
    """What is tracked.

    Args:
        opens: The pixel; None: as the wider setting says.
        clicks: The links, likewise.
        totals: It is not kept who it was, likewise.
    """

    opens: bool | None = None
    clicks: bool | None = None
    totals: bool | None = None


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """Where links lead.

    Args:
        public_url: The public part as recipients reach it, without a slash at its end.
        mailto: The address that takes mail to leave by; "" if there is none.
        tracking: What is tracked of bulk mail, where nothing else is said.
    """

    public_url: str
    mailto: str = ""
    tracking: TrackingOptions = field(default_factory=TrackingOptions)


class LinkMaker:
    """Makes the links of jobs.

    Args:
        tokens: Signs them.
        options: Where they lead.
    """

    def __init__(self, tokens: Tokens, options: LinkOptions) -> None:
        self._tokens = tokens
        self._options = options

    def of(self, job: JobFacts, content: Content, chosen: TrackingOptions) -> "JobLinks":
        """Return the links of a job.

        Args:
            job: The job.
            content: Its content.
            chosen: What its configuration set says of tracking.
        """
        bulk = job.priority is Priority.BULK
        wide = self._options.tracking
        opens = _first(content.track_opens, chosen.opens, bulk and wide.opens)
        clicks = _first(content.track_clicks, chosen.clicks, bulk and wide.clicks)
        return JobLinks(
            self._tokens,
            self._options,
            job,
            mentioned=_mentioned(content),
            opens=opens and not content.raw,
            clicks=clicks and not content.raw,
            totals=_first(chosen.totals, wide.totals),
        )


class JobLinks:
    """The links of one job; see `LinkMaker`."""

    def __init__(
        self,
        tokens: Tokens,
        options: LinkOptions,
        job: JobFacts,
        *,
        mentioned: frozenset[str],
        opens: bool,
        clicks: bool,
        totals: bool,
    ) -> None:
        base = options.public_url
        self._tokens = tokens
        self._job = job.id
        self._mark = job_mark(job.uid)
        self._leave = f"{base}/u/"
        self._choose = f"{base}/p/"
        self._view = f"{base}/v/"
        self._click = f"{base}/c/"
        self._mailto = options.mailto
        self._bulk = job.priority is Priority.BULK
        self._leaves = self._bulk or not mentioned.isdisjoint(_NAMES)
        self._views = "view_url" in mentioned
        self._tracked = opens or clicks
        self._seen = self._seen_token(0) if self._tracked and totals else ""
        self.tracking: Final = (
            Tracking(self._link, f"{base}/o/" if opens else "", clicks) if self._tracked else None
        )
        self._clicks = clicks

    def marks(
        self, delivery: int, recipient: str
    ) -> tuple[tuple[tuple[str, str], ...], dict[str, str], Callable[[str], str] | None]:
        """Return what one message gets: header fields, values for templates, and the tracker."""
        headers: tuple[tuple[str, str], ...] = ()
        urls: dict[str, str] = {}
        if self._leaves:
            token = self._leave_token(delivery, recipient)
            urls["unsubscribe_url"] = self._leave + token
            urls["preferences_url"] = self._choose + token
            if self._bulk:
                headers = self._fields(token)
        if self._views:
            about = About(self._job, delivery, mark=self._mark)
            urls["view_url"] = self._view + self._tokens.make(Purpose.VIEW, about.pack())
        if not self._tracked:
            return headers, urls, None
        seen = urls[SEEN] = self._seen or self._seen_token(delivery)
        return headers, urls, partial(self._tracker, seen) if self._clicks else None

    def _fields(self, token: str) -> tuple[tuple[str, str], ...]:
        ways = f"<{self._leave}{token}>"
        if self._mailto:
            ways = f"<mailto:{self._mailto}?subject={token}>, {ways}"
        return (("List-Unsubscribe", ways), ("List-Unsubscribe-Post", ONE_CLICK))

    def _leave_token(self, delivery: int, recipient: str) -> str:
        about = About(self._job, delivery, recipient, self._mark)
        return self._tokens.make(Purpose.LEAVE, about.pack())

    def _seen_token(self, delivery: int) -> str:
        return self._tokens.make(Purpose.SEEN, About(self._job, delivery, mark=self._mark).pack())

    def _link(self, url: str) -> str:
        token = self._tokens.make(Purpose.LINK, pack_link(self._mark, self._job, url))
        return f"{self._click}{token}/"

    def _tracker(self, seen: str, url: str) -> str:
        return f"{self._link(url)}{seen}" if is_trackable(url) else url


def _first(*said: bool | None) -> bool:
    return next((one for one in said if one is not None), False)


def _mentioned(content: Content) -> frozenset[str]:
    """Which of the engine's values any template may name; finding one in prose costs a token."""
    texts = (content.subject, content.html, content.text, content.preheader, content.to_name)
    whole = "\n".join((*texts, *(value for _, value in content.headers)))
    return frozenset(name for name in (*_NAMES, "view_url") if name in whole)
