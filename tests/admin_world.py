"""An admin part over a real database and spool, without a daemon: for the tests of `web/admin`."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_network
from pathlib import Path

import httpx

from ekiden.control.insight_requests import ProviderView
from ekiden.control.list_service import Confirming, ListAnswers
from ekiden.control.pacing_service import PacingAnswers, PacingFacts
from ekiden.control.providers import ProviderBook
from ekiden.control.reaction_service import ReactionAnswers
from ekiden.control.requests import EngineView
from ekiden.control.service import Control
from ekiden.control.template_service import TemplateAnswers
from ekiden.control.token_service import TokenAnswers
from ekiden.control.tokens import ApiTokens
from ekiden.engine.schedule.explain import Snapshot
from ekiden.events.metrics import Metrics
from ekiden.lists.contacts import Contacts
from ekiden.lists.identities import Identities
from ekiden.lists.suppression import Suppressions
from ekiden.queue.model import Foretold, JobFacts, NewDelivery, NewJob, Settlement
from ekiden.queue.queue import Queue
from ekiden.shaping.hours import HoursOptions
from ekiden.shaping.ramps import WarmupOptions
from ekiden.spool.house import House
from ekiden.spool.intake import Intake, IntakeOptions
from ekiden.spool.layout import Spool
from ekiden.store.database import Database
from ekiden.templates.library import Library
from ekiden.web.admin.site import AdminSite
from ekiden.web.options import AdminOptions

NOW = 1_800_000_000.0
EMPTY = Snapshot(0, 0, 0, 0, 0, 0, 0, {})


@dataclass
class Engine:
    """What a running engine tells and hears."""

    trouble: str = ""
    shown: list[ProviderView] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    forecasts: dict[int, tuple[str, float | None]] = field(default_factory=dict)

    def engine(self) -> EngineView:
        return EngineView(
            pid=1,
            version="9.9",
            started_at=NOW - 3600,
            sessions=12,
            max_sessions=2000,
            destinations=3,
            trouble=self.trouble,
        )

    def why(self, destination: str) -> str:
        return f"{destination} takes 20 an hour"

    async def providers(self) -> list[ProviderView]:
        return self.shown

    async def save_learned(self) -> None:
        pass

    def forecast(self, job_id: int) -> tuple[str, float | None]:
        return self.forecasts.get(job_id, ("", None))

    def job_changed(self, job: JobFacts) -> None:
        self.heard.append(f"{job.uid} {job.state}")

    def destination_skipped(self) -> None:
        self.heard.append("skipped")

    def suspensions_changed(self) -> None:
        self.heard.append("suspensions")

    def scope_stopped(self, scope: str, reason: str) -> None:
        self.heard.append(f"stopped {scope}: {reason}")

    def scope_resumed(self, scope: str) -> None:
        self.heard.append(f"resumed {scope}")


@dataclass
class Admin:
    """What a test needs."""

    queue: Queue
    tokens: ApiTokens
    spool: Spool
    intake: Intake
    engine: Engine
    site: AdminSite
    client: httpx.AsyncClient
    now: list[float]
    secrets: Mapping[str, str]
    opened: list[JobFacts]
    another: Callable[[], httpx.AsyncClient]

    def bearer(self, name: str = "admin") -> dict[str, str]:
        return {"authorization": f"Bearer {self.secrets[name]}"}

    async def job(
        self, name: str, people: list[str], told: Foretold | None = None, **more: object
    ) -> JobFacts:
        job = NewJob(
            uid=name,
            name=name,
            mail_from="n@news.example",
            from_domain="news.example",
            content=b"{}",
            created_at=NOW - 600,
            expires_at=NOW + 9e6,
            **more,  # type: ignore[arg-type]  # test data
        )
        rows = [NewDelivery(one, one.partition("@")[2], b"{}", n) for n, one in enumerate(people)]
        said = told or Foretold()
        return await self.queue.submit_job(job, rows, NOW - 600, foretold=said)

    async def settle(self, job: JobFacts, results: list[Callable[..., Settlement]]) -> None:
        ids = [row.id for row in await self.queue.job_rows(job.id, 0, 10_000)][: len(results)]
        claimed = (await self.queue.claim(ids, 1, NOW)).claimed
        made = [make(one) for make, one in zip(results, claimed, strict=True)]
        await self.queue.settle(made, NOW)


@asynccontextmanager
async def admin_world(
    directory: Path, *, per_minute: int = 1_000_000, session: float = 3600.0
) -> AsyncIterator[Admin]:
    """Open everything, with a token for each scope."""
    database = await Database.open(directory / "queue.db")
    spool = Spool.open(directory / "spool")
    queue, tokens, engine = Queue(database), ApiTokens(database), Engine()
    now = [NOW]
    clock = partial(now.__getitem__, 0)
    suppressions, contacts = Suppressions(database), Contacts(database)
    lists = ListAnswers(
        contacts,
        Identities(database),
        queue,
        suppressions,
        clock=clock,
        confirming=Confirming("postmaster@news.example"),
    )
    control = Control(
        queue,
        suppressions,
        live=engine,
        clock=clock,
        lists=lists,
        templates=TemplateAnswers(Library(database), clock=clock),
        tokens=TokenAnswers(tokens, clock=clock),
        reactions=ReactionAnswers(queue, clock),
        pacing=PacingAnswers(
            queue, PacingFacts(("a",), ("other",), WarmupOptions(), HoursOptions()), clock
        ),
    )
    book = ProviderBook(Metrics(), lambda _host, _destination: "")

    async def metrics() -> bytes:
        return book.text(EMPTY, {"ready": 3})

    site = AdminSite(
        control,
        tokens,
        spool,
        queue,
        AdminOptions(
            "mail.news.example",
            proxies=[ip_network("127.0.0.1/32")],
            per_minute=per_minute,
            session=session,
            events=directory / "events",
        ),
        now=clock,
        metrics=metrics,
        trouble=lambda: engine.trouble,
    )
    opened: list[JobFacts] = []
    intake = Intake(
        spool, queue, IntakeOptions(rest=0.05), House(opened=opened.append), clock=clock
    )
    secrets = {
        name: (await tokens.add(name, [name], NOW)).secret for name in ("submit", "read", "admin")
    }
    transport = httpx.ASGITransport(site.app, client=("203.0.113.9", 1))

    def another() -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=transport, base_url="http://admin.example")

    try:
        async with another() as client:
            yield Admin(
                queue, tokens, spool, intake, engine, site, client, now, secrets, opened, another
            )
    finally:
        spool.close()
        await database.close()
