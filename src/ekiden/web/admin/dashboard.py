"""The dashboard: what goes on, rendered on the server; everything works without JavaScript.

```
GET  /                     the whole: figures, jobs, providers, what holds mail back, alerts
GET  /jobs/JOB             one job: progress, what did not arrive and why, reactions
GET  /queue                what waits by destination, and why
POST /jobs/JOB/pause ...   a button; answered by 303 to the page it stands on
GET  /login, POST /login   a token becomes a cookie; POST /logout ends it
```

Its one script fetches the page again every few seconds and puts the new content in the place of the
old. The content security policy allows that script, one style sheet and requests to us, and nothing
else. Buttons need the scope admin, a form's own number and a page of ours (see `doorkeeper`).
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs, quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ekiden.control import insight_requests as insight
from ekiden.control import pacing_requests as pacing
from ekiden.control import reaction_requests as reactions
from ekiden.control import requests as basic
from ekiden.control.server import Answers
from ekiden.control.tokens import Scope, TokenFacts
from ekiden.errors import EkidenError, NotFoundError
from ekiden.web.admin.api import small_body
from ekiden.web.admin.doorkeeper import COOKIE, Doorkeeper, Session
from ekiden.web.admin.reasons import told, where
from ekiden.web.admin.shown import (
    Shown,
    count,
    job_shown,
    length_of,
    meaning,
    moment,
    percent,
    rate_of,
    remedy_key,
    segments,
)
from ekiden.web.admin.words import LANGUAGES, Words
from ekiden.web.words import choose

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_LANGUAGE: Final = "ekiden_language"
_JOBS: Final = 25
_ROWS: Final = 100
_ALERTS: Final = 10
_YEAR: Final = 31_536_000
_FILES: Final = {
    "dashboard.css": "text/css",
    "dashboard.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


class Dashboard:
    """Answers people.

    Args:
        answers: Answers requests.
        doorkeeper: Lets them in.
        now: UNIX seconds.
        host: Whose dashboard it is: the EHLO name.
    """

    def __init__(
        self, answers: Answers, doorkeeper: Doorkeeper, *, now: Callable[[], float], host: str
    ) -> None:
        self._answers = answers
        self._doorkeeper = doorkeeper
        self._now = now
        self._host = host
        self._environment = Environment(
            loader=PackageLoader("ekiden.web.admin"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "count": count,
            "length_of": length_of,
            "meaning": meaning,
            "moment": moment,
            "percent": percent,
            "segments": segments,
            "rate": rate_of,
            "remedy_key": remedy_key,
            "told": told,
            "where": where,
            "path": lambda text: quote(str(text), safe=""),
        }
        loader = self._environment.loader
        assert loader is not None  # noqa: S101 - given above
        self._files = {name: loader.get_source(self._environment, name)[0] for name in _FILES}

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/", self._page(self.overview), methods=["GET"]),
            Route("/queue", self._page(self.queue), methods=["GET"]),
            Route("/jobs/{job}", self._page(self.job), methods=["GET"]),
            Route("/jobs/{job}/{act}", self._act(self.act_on_job), methods=["POST"]),
            Route("/suspensions", self._act(self.suspend), methods=["POST"]),
            Route("/reputation", self._act(self.resume_scope), methods=["POST"]),
            Route("/login", self.log_in, methods=["GET", "POST"]),
            Route("/logout", self.log_out, methods=["POST"]),
            Route("/static/{name}", self.file, methods=["GET"]),
        ]

    # --- pages -------------------------------------------------------------------------------

    async def overview(self, _: Request) -> Shown:
        """Everything at a glance."""
        ask, now = self._answers.ask, self._now()
        jobs = await ask(basic.Jobs(limit=_JOBS))
        return Shown(
            "overview.html",
            {
                "status": await ask(basic.Status()),
                "jobs": [job_shown(one, now) for one in jobs],
                "providers": await ask(insight.Providers()),
                "found": (await ask(pacing.ShowLearned(found=True)))[:_ROWS],
                "reputation": await ask(basic.Reputations(limit=_JOBS)),
                "suspensions": await ask(basic.Suspensions()),
                "measures": (await ask(reactions.ShowReactions()))[:_ROWS],
                "alerts": await ask(insight.Alerts(limit=_ALERTS)),
            },
        )

    async def queue(self, request: Request) -> Shown:
        """What waits, by destination."""
        pattern = request.query_params.get("pattern", "").strip() or "*"
        rows = await self._answers.ask(basic.Backlog(pattern=pattern, limit=_ROWS))
        suspensions = await self._answers.ask(basic.Suspensions())
        values = {"rows": rows, "pattern": pattern, "suspensions": suspensions}
        return Shown("queue.html", values)

    async def job(self, request: Request) -> Shown:
        """One job."""
        key = request.path_params["job"]
        job = await self._answers.ask(basic.ShowJob(job=key))
        return Shown(
            "job.html",
            {
                "job": job_shown(job, self._now()),
                "failures": await self._answers.ask(insight.Failures(job=str(job.id))),
                "reactions": await self._answers.ask(insight.JobReactions(job=str(job.id))),
            },
        )

    # --- buttons -----------------------------------------------------------------------------

    async def act_on_job(self, request: Request, _: Mapping[str, str]) -> str:
        """Pause, resume or cancel."""
        acts: dict[str, type[basic.Question[basic.JobView]]] = {
            "pause": basic.PauseJob,
            "resume": basic.ResumeJob,
            "cancel": basic.CancelJob,
        }
        kind = acts.get(request.path_params["act"])
        if kind is None:
            raise NotFoundError("there is no such button")
        job = await self._answers.ask(kind(job=request.path_params["job"]))
        return f"/jobs/{job.id}"

    async def suspend(self, _: Request, form: Mapping[str, str]) -> str:
        """Suspend destinations, or lift that."""
        pattern = form.get("pattern", "").strip()
        if form.get("act") == "lift":
            await self._answers.ask(basic.Unsuspend(pattern=pattern))
        else:
            await self._answers.ask(basic.Suspend(pattern=pattern, reason=form.get("reason", "")))
        return form.get("back", "") if form.get("back") in {"/", "/queue"} else "/queue"

    async def resume_scope(self, _: Request, form: Mapping[str, str]) -> str:
        """Let a stopped scope send again."""
        await self._answers.ask(basic.ResumeScope(scope=form.get("scope", "")))
        return "/"

    # --- coming and going --------------------------------------------------------------------

    async def log_in(self, request: Request) -> Response:
        """A token becomes a cookie."""
        if request.method != "POST":
            return self._render(request, Shown("login.html", {"problem": ""}), None)
        words = self._words(request)
        form = _form(await small_body(request))
        if not self._doorkeeper.same_site(request):
            return self._told(request, 403, words["stale"])
        token = await self._doorkeeper.token(request, form.get("token", "").strip())
        if isinstance(token, Response) or not token.may(Scope.READ):
            status = token.status_code if isinstance(token, Response) else 403
            said = words["token_slow" if status == 429 else "token_wrong"]
            shown = Shown("login.html", {"problem": said}, status)
            return self._render(request, shown, None)
        response = RedirectResponse("/", 303)
        response.set_cookie(
            COOKIE,
            self._doorkeeper.begin(token),
            httponly=True,
            samesite="strict",
            secure=request.headers.get("x-forwarded-proto", "") == "https",
        )
        return response

    async def log_out(self, request: Request) -> Response:
        """End the session."""
        found = await self._doorkeeper.visitor(request)
        form = _form(await small_body(request))
        response = RedirectResponse("/login", 303)
        if found is not None and self._doorkeeper.genuine(found[1], form.get("csrf", "")):
            self._doorkeeper.end(request)
            response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    async def file(self, request: Request) -> Response:
        """The style sheet and the script."""
        name = request.path_params["name"]
        if name not in _FILES:
            return Response("not found\n", 404, media_type="text/plain")
        headers = {"cache-control": "no-cache"}
        return Response(self._files[name], 200, headers, _FILES[name])

    # --- pieces ------------------------------------------------------------------------------

    def _page(
        self, make: Callable[[Request], Awaitable[Shown]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            found = await self._doorkeeper.visitor(request)
            if found is None:
                return RedirectResponse("/login", 303)
            try:
                shown = await make(request)
            except EkidenError as error:
                return self._failed(request, error, found)
            return self._render(request, shown, found)

        return endpoint

    def _act(
        self, act: Callable[[Request, Mapping[str, str]], Awaitable[str]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            found = await self._doorkeeper.visitor(request)
            if found is None:
                return RedirectResponse("/login", 303)
            form = _form(await small_body(request))
            token, session = found
            words = self._words(request)
            genuine = self._doorkeeper.genuine(session, form.get("csrf", ""))
            if not (genuine and self._doorkeeper.same_site(request)):
                return self._told(request, 403, words["stale"], found)
            if not token.may(Scope.ADMIN):
                return self._told(request, 403, words["forbidden"], found)
            try:
                return RedirectResponse(await act(request, form), 303)
            except EkidenError as error:
                return self._failed(request, error, found)

        return endpoint

    def _failed(
        self, request: Request, error: EkidenError, found: tuple[TokenFacts, Session]
    ) -> Response:
        missing = isinstance(error, NotFoundError)
        said = told(str(error), self._words(request)["language"])
        return self._told(request, 404 if missing else 409, said, found)

    def _told(
        self,
        request: Request,
        status: int,
        what: Markup | str,
        found: tuple[TokenFacts, Session] | None = None,
    ) -> Response:
        return self._render(request, Shown("told.html", {"what": what}, status), found)

    def _words(self, request: Request) -> Words:
        asked = request.query_params.get("lang", "")
        kept = request.cookies.get(_LANGUAGE, "")
        chosen = choose(asked, kept, request.headers.get("accept-language", ""))
        return LANGUAGES[chosen["language"]]

    def _render(
        self, request: Request, shown: Shown, found: tuple[TokenFacts, Session] | None
    ) -> Response:
        words = self._words(request)
        values: dict[str, Any] = {
            "w": words,
            "others": [one for one in LANGUAGES.values() if one is not words],
            "host": self._host,
            "path": request.url.path,
            "now": self._now(),
            "csrf": found[1].csrf if found else "",
            "inside": found is not None,
            "may_act": found is not None and found[0].may(Scope.ADMIN),
            **shown.values,
        }
        text = self._environment.get_template(shown.template).render(values)
        headers = {
            "content-security-policy": _POLICY,
            "content-language": words["language"],
            "vary": "accept-language, cookie",
        }
        response = Response(text, shown.status, headers, "text/html; charset=utf-8")
        if request.query_params.get("lang", "") in LANGUAGES:
            response.set_cookie(
                _LANGUAGE, words["language"], max_age=_YEAR, httponly=True, samesite="strict"
            )
        return response


def _form(body: bytes) -> dict[str, str]:
    try:
        found = parse_qs(body.decode("utf-8", "replace"), max_num_fields=50)
    except ValueError:
        return {}
    return {name: values[0] for name, values in found.items()}
