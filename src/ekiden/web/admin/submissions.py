"""Submission over HTTP: a body becomes an entry of the spool, and the spool's answer the response.

```
POST /v1/jobs                       a job; on the disk before it is answered
GET  /v1/submissions/NAME           what became of it
```

| Content-Type | is |
|---|---|
| `application/json` | NAME.json: the keys of a job, attachments in base64 |
| `application/toml` | NAME.toml |
| `message/rfc822` | NAME.eml |
| `application/x-tar`, `application/gzip` | a job directory: job.toml and the files it names |
| `multipart/form-data` | the same as a form: a part `job`, and a part for each file |

**Contract.** The spool's own intake takes the job: the same checks, the same identity. With an
`Idempotency-Key` the key is the identity (unless the job has an `id`): the same key with the same
body is the same job, answered again, whatever broke in between; with another body it is refused.
What is kept of a key is written before the job is, so there is no moment at which a repetition
could make a second job.

The answer waits a little for intake (`Prefer: wait=SECONDS`, RFC 7240; 5 unless said): 202 with the
job when it was accepted, 422 with the reasons when it was refused, 202 with `waiting` when it takes
longer, as for large jobs.
"""

import asyncio
import re
import secrets
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final
from weakref import WeakValueDictionary

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ekiden import limits
from ekiden.control.requests import JobView, ShowJob
from ekiden.control.server import Answers
from ekiden.control.tokens import ApiTokens, Scope, TokenFacts
from ekiden.errors import NotFoundError, RefusedError
from ekiden.queue.queue import Queue
from ekiden.spool.deposit import (
    FILES,
    Fate,
    Standing,
    deposit,
    deposit_archive,
    deposit_files,
    identified_toml,
    standing,
)
from ekiden.spool.formdata import boundary_of, files_of
from ekiden.spool.layout import Spool
from ekiden.web.admin.api import answer
from ekiden.web.admin.doorkeeper import Doorkeeper
from ekiden.web.admin.problems import problem

FORM: Final = "multipart/form-data"
KINDS: Final = {
    "application/json": ".json",
    "application/toml": ".toml",
    "message/rfc822": ".eml",
    "application/x-tar": "",
    "application/gzip": "",
    FORM: "",
}
_WAIT: Final = 5.0
Body = bytes | dict[str, bytes]  # of a form its files
_PATIENCE: Final = 10.0  # seconds until there is room for a body
_WAIT_MOST: Final = 30.0
_PAUSES: Final = (0.01, 0.02, 0.05, 0.1)  # and the last one again
_PREFER: Final = re.compile(r"\bwait=(\d{1,3})\b")
_KEY: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
_NAME: Final = re.compile(r"api\.[A-Za-z0-9._~-]{1,200}")
_KEYS_KEPT: Final = 7 * 86_400.0
_FORGET_EVERY: Final = 3600.0


class SubmissionView(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a submission.

    Args:
        name: The entry's name in the spool.
        fate: waiting, accepted, refused or unknown.
        job: The job, once it is accepted.
        error: Why it was refused.
    """

    name: str
    fate: str
    job: JobView | None = None
    error: str = ""


class _Named(msgspec.Struct):
    """A job of which only the identity is read."""

    id: Any = None


class Submissions:
    """Takes jobs.

    Args:
        spool: The open spool.
        queue: Where accepted jobs are.
        answers: Answers requests.
        doorkeeper: Lets programs in.
        tokens: Where keys are kept.
        now: UNIX seconds.
    """

    def __init__(
        self,
        spool: Spool,
        queue: Queue,
        answers: Answers,
        doorkeeper: Doorkeeper,
        *,
        tokens: ApiTokens,
        now: Callable[[], float],
    ) -> None:
        self._spool = spool
        self._queue = queue
        self._answers = answers
        self._doorkeeper = doorkeeper
        self._tokens = tokens
        self._now = now
        self._large = asyncio.Semaphore(limits.HTTP_JOBS_AT_ONCE)
        self._small = asyncio.Semaphore(limits.HTTP_SMALL_JOBS_AT_ONCE)
        self._building: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._forgotten_at = 0.0

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/v1/jobs", self.submit, methods=["POST"]),
            Route("/v1/submissions/{name}", self.show, methods=["GET"]),
        ]

    async def submit(self, request: Request) -> Response:
        """Take a job."""
        token = await self._doorkeeper.admit(request, Scope.SUBMIT)
        if isinstance(token, Response):
            return token
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in KINDS:
            return problem(
                415, "this is none of the shapes that are taken", remedy=f"use {', '.join(KINDS)}"
            )
        key = request.headers.get("idempotency-key", "").strip()
        if key and not _KEY.fullmatch(key):
            return problem(400, "an Idempotency-Key has at most 255 printable ASCII characters")
        room = self._room(request)
        try:
            async with asyncio.timeout(_PATIENCE):
                await room.acquire()
        except TimeoutError:
            return problem(503, "too many jobs are being taken", retry_after="2")
        try:
            raw = await request.body()
            body: Body = raw
            if kind == FORM:
                boundary = boundary_of(request.headers["content-type"])
                body = await asyncio.to_thread(files_of, raw, boundary, FILES)
            name = f"api.{token.owner}.{time.time_ns()}.{secrets.token_hex(4)}{KINDS[kind]}"
            kept, again = await self._kept(token, key, kind, body, name)
            if kept is None:
                return problem(
                    422,
                    "this Idempotency-Key was used with another body",
                    remedy="a new job needs a new key",
                )
            await self._put(kept, body, _identity(token, key))
        finally:
            room.release()
        more = {"idempotency_replayed": "true"} if again else {}
        return await self._told(kept, _wait(request), **more)

    async def show(self, request: Request) -> Response:
        """What became of a submission."""
        token = await self._doorkeeper.admit(request, Scope.SUBMIT, Scope.READ)
        if isinstance(token, Response):
            return token
        name = request.path_params["name"]
        if not _NAME.fullmatch(name):
            raise NotFoundError("there is no such submission")
        view = await self._view(name)
        if view.fate == Fate.UNKNOWN:
            raise NotFoundError("there is no such submission", where=name)
        return answer(view)

    # --- pieces ------------------------------------------------------------------------------

    def _room(self, request: Request) -> asyncio.Semaphore:
        """What bounds the bodies in memory: many small ones, few that are large or do not say."""
        size = request.headers.get("content-length", "")
        small = size.isdigit() and int(size[:18]) <= limits.HTTP_JSON_BYTES
        return self._small if small else self._large

    async def _kept(
        self, token: TokenFacts, key: str, kind: str, body: Body, name: str
    ) -> tuple[str | None, bool]:
        """Return the name under which a body is kept, and whether it was known.

        The name is None if the key stands for another body.
        """
        if not key:
            return name, False
        digest = await asyncio.to_thread(_digest, kind, body)
        await self._forget()
        first, kept = await self._tokens.note_submission(token.id, key, digest, name, self._now())
        return (kept, kept != name) if first == digest else (None, True)

    async def _forget(self) -> None:
        if self._now() - self._forgotten_at > _FORGET_EVERY:
            self._forgotten_at = self._now()
            await self._tokens.forget_submissions(self._now() - _KEYS_KEPT)

    async def _put(self, name: str, body: Body, identity: str) -> None:
        """Put the entry into the spool, unless it is there or has become a job."""
        # Repetitions come at the same time, too: one builds the entry, the others find it there.
        async with self._building.setdefault(name, asyncio.Lock()):
            there = await asyncio.to_thread(standing, self._spool, name)
            if there.fate is Fate.UNKNOWN and await self._queue.job_of_spool(name) is None:
                await asyncio.to_thread(_deposit, self._spool, name, body, identity)

    async def _told(self, name: str, wait: float, **headers: str) -> Response:
        """Wait for intake, and say what it said."""
        deadline = time.monotonic() + wait
        view = await self._view(name)
        for pause in (*_PAUSES, *(_PAUSES[-1] for _ in range(int(wait / _PAUSES[-1])))):
            if view.fate != Fate.WAITING or time.monotonic() >= deadline:
                break
            await asyncio.sleep(pause)
            view = await self._view(name)
        headers["location"] = f"/v1/submissions/{name}"
        return answer(view, 422 if view.fate == Fate.REFUSED else 202, **headers)

    async def _view(self, name: str) -> SubmissionView:
        job = await self._queue.job_of_spool(name)
        if job is not None:
            shown: JobView = await self._answers.ask(ShowJob(str(job)))
            return SubmissionView(name, Fate.ACCEPTED, shown)
        there: Standing = await asyncio.to_thread(standing, self._spool, name)
        return SubmissionView(name, there.fate, error=there.error)


def _identity(token: TokenFacts, key: str) -> str:
    """The identity of a job under a key: short, and made of what every shape can hold."""
    if not key:
        return ""
    return f"http:{token.owner}:{sha256(key.encode()).hexdigest()[:40]}"


def _digest(kind: str, body: Body) -> bytes:
    """What a repetition is known by: of a form its files, since each try has its own boundary."""
    found = sha256(kind.encode() + b"\0")
    if isinstance(body, bytes):
        found.update(body)
        return found.digest()
    for path, content in sorted(body.items()):
        found.update(msgspec.json.encode([path, len(content)]) + content)
    return found.digest()


def _deposit(spool: Spool, name: str, body: Body, identity: str) -> None:
    if not isinstance(body, bytes):
        deposit_files(spool, name, body, identity)
    elif name.endswith(".json"):
        deposit(spool, name, _identified_json(body, identity))
    elif name.endswith(".toml"):
        deposit(spool, name, identified_toml(body, identity) if identity else body)
    elif name.endswith(".eml"):
        deposit(spool, name, _identified_message(body, identity))
    else:
        deposit_archive(spool, name, body, identity)


def _identified_json(body: bytes, identity: str) -> bytes:
    try:
        job = msgspec.json.decode(body, type=_Named)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(f"the body is no job in JSON: {error}") from None
    if not identity or job.id is not None:
        return body
    inside = body.lstrip()[1:].lstrip()
    comma = b"" if inside.startswith(b"}") else b","
    return b'{"id":' + msgspec.json.encode(identity) + comma + inside


def _identified_message(body: bytes, identity: str) -> bytes:
    head = body[: limits.HEADER_BYTES].replace(b"\r\n", b"\n").partition(b"\n\n")[0].lower()
    if not identity or b"\nx-ekiden-id:" in b"\n" + head:
        return body
    return b"X-Ekiden-Id: " + identity.encode() + b"\r\n" + body


def _wait(request: Request) -> float:
    found = _PREFER.search(request.headers.get("prefer", ""))
    return min(float(found[1]), _WAIT_MOST) if found else _WAIT
