"""Submission over HTTP: through the spool's intake, on the disk before the answer, once per key."""

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_world import Admin, admin_world
from ekiden.errors import RefusedError
from ekiden.message.content import decode
from ekiden.spool.formdata import files_of
from ekiden.spool.layout import Folder

JOB = {
    "from": "desk@news.example",
    "subject": "Your code",
    "text": "Hello {{ name }}",
    "priority": "transactional",
    "recipients": [{"address": "a@x.example", "name": "A"}, "no address"],
}


@asynccontextmanager
async def taking(directory: Path) -> AsyncIterator[Admin]:
    async with admin_world(directory) as there:
        task = asyncio.create_task(there.intake.run())
        try:
            yield there
        finally:
            task.cancel()
            await asyncio.wait([task])


async def submit(
    there: Admin, body: object = JOB, kind: str = "application/json", **headers: str
) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    more = {name.replace("_", "-"): text for name, text in headers.items()}
    return await there.client.post(
        "/v1/jobs",
        content=content,
        headers={**there.bearer("submit"), "content-type": kind, "prefer": "wait=20", **more},
    )


async def test_a_job_in_json(tmp_path: Path) -> None:
    async with taking(tmp_path) as there:
        answer = await submit(there)
        told = answer.json()
        assert (answer.status_code, told["fate"]) == (202, "accepted")
        assert (told["job"]["total"], told["job"]["refused"]) == (1, 1)
        assert told["job"]["priority"] == "transactional"
        assert [job.id for job in there.opened] == [told["job"]["id"]]
        again = await there.client.get(answer.headers["location"], headers=there.bearer("submit"))
        assert again.json() == told


async def test_a_job_that_is_refused_says_why(tmp_path: Path) -> None:
    async with taking(tmp_path) as there:
        answer = await submit(there, {**JOB, "sbject": "typo"})
        assert answer.status_code == 422
        assert "did you mean `subject`" in answer.json()["error"]
        assert there.opened == []
        # What is no JSON at all does not even reach the spool.
        answer = await submit(there, b"{nonsense")
        assert answer.status_code == 409
        assert len(there.spool.names(Folder.FAILED)) == 2


async def test_without_a_daemon_s_intake_it_waits_on_the_disk(tmp_path: Path) -> None:
    async with admin_world(tmp_path) as there:
        answer = await submit(there, prefer="wait=0")
        assert (answer.status_code, answer.json()["fate"]) == (202, "waiting")
        (name,) = there.spool.names(Folder.NEW)
        assert name == answer.json()["name"]
        assert json.loads((there.spool.path / "new" / name).read_bytes()) == JOB
        await there.intake.take_all()
        shown = await there.client.get(answer.headers["location"], headers=there.bearer("read"))
        assert shown.json()["fate"] == "accepted"


async def test_one_key_is_one_job(tmp_path: Path) -> None:
    async with taking(tmp_path) as there:
        first = await submit(there, idempotency_key="order 17")
        second = await submit(there, idempotency_key="order 17")
        assert first.json() == second.json()
        assert "idempotency-replayed" not in first.headers
        assert second.headers["idempotency-replayed"] == "true"
        other = await submit(there, {**JOB, "subject": "Other"}, idempotency_key="order 17")
        assert other.status_code == 422
        assert "another body" in other.json()["title"]
        third = await submit(there, idempotency_key="order 18")
        assert third.json()["job"]["id"] != first.json()["job"]["id"]
        assert len(there.opened) == 2
        for key in ("é", "x" * 256):
            more = [(b"idempotency-key", key.encode())]
            headers = [*there.bearer("submit").items(), ("content-type", "application/json")]
            raw = [(name.encode(), text.encode()) for name, text in headers] + more
            answer = await there.client.post("/v1/jobs", content=b"{}", headers=raw)
            assert answer.status_code == 400


async def test_fifty_requests_with_one_key_at_once(tmp_path: Path) -> None:
    async with taking(tmp_path) as there:
        answers = await asyncio.gather(*(submit(there, idempotency_key="once") for _ in range(50)))
        assert {one.status_code for one in answers} == {202}
        assert len({one.json()["name"] for one in answers}) == 1
        assert len(there.opened) == 1


async def test_a_crash_between_the_key_and_the_spool_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async with taking(tmp_path) as there:
        with monkeypatch.context() as patch:
            patch.setattr("ekiden.spool.deposit._hand_over", crash)
            answer = await submit(there, idempotency_key="k")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert there.opened == []
        answer = await submit(there, idempotency_key="k")
        assert answer.json()["fate"] == "accepted"
        answer = await submit(there, idempotency_key="k")
        assert len(there.opened) == 1


async def test_a_key_after_rotation_is_the_same_key(tmp_path: Path) -> None:
    async with taking(tmp_path) as there:
        first = await submit(there, idempotency_key="k")
        new = await there.tokens.rotate("submit", there.now[0], grace=60)
        second = await submit(there, idempotency_key="k", authorization=f"Bearer {new.secret}")
        assert second.json()["job"]["id"] == first.json()["job"]["id"]
        # With the old secret it is another key of the same owner, and the same job.
        third = await submit(there, idempotency_key="k")
        assert third.status_code == 202
        assert len(there.opened) == 1


async def test_a_message(tmp_path: Path) -> None:
    raw = b"From: desk@news.example\r\nTo: a@x.example\r\nSubject: hi\r\n\r\nhello\r\n"
    async with taking(tmp_path) as there:
        for _ in range(2):
            answer = await submit(there, raw, "message/rfc822", idempotency_key="m")
            assert answer.json()["fate"] == "accepted", answer.text
        (job,) = there.opened
        assert job.uid.startswith("http:submit:")
        content = decode(await there.queue.content(job.id))
        assert b"X-Ekiden" not in content.raw


async def test_toml(tmp_path: Path) -> None:
    job = b'from = "a@news.example"\nsubject = "s"\ntext = "t"\nrecipients = ["a@x.example"]\n'
    async with taking(tmp_path) as there:
        answer = await submit(there, job, "application/toml", idempotency_key="t")
        assert answer.json()["fate"] == "accepted", answer.text
        answer = await submit(there, b'id = "mine"\n' + job, "application/toml; charset=utf-8")
        assert answer.json()["job"]["uid"] == "mine"


def tar(files: dict[str, bytes], mode: str = "w", **links: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]  # test data
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type = tarfile.SYMTYPE
            member.linkname = target
            archive.addfile(member)
    return out.getvalue()


DIRECTORY = {
    "./job.toml": b'from = "a@news.example"\nsubject = "s"\nhtml = "in/body.html"\n'
    b'recipients = "people.csv"\nattachments = ["menu.pdf"]\n',
    "./in/body.html": b"<p>{{ name }}</p>",
    "./people.csv": b"email,name\na@x.example,A\nb@x.example,B\n",
    "./menu.pdf": b"%PDF-1.4\n" + bytes(range(256)) * 20,
}


@pytest.mark.parametrize(
    ("mode", "kind"), [("w", "application/x-tar"), ("w:gz", "application/gzip")]
)
async def test_a_directory_in_an_archive(tmp_path: Path, mode: str, kind: str) -> None:
    archive = tar(DIRECTORY, mode)  # once: gzip writes down the second
    async with taking(tmp_path) as there:
        for _ in range(2):
            answer = await submit(there, archive, kind, idempotency_key="d")
            assert answer.json()["fate"] == "accepted", answer.text
        (job,) = there.opened
        assert job.total == 2
        (part,) = decode(await there.queue.content(job.id)).attachments
        assert part.filename == "menu.pdf"


@pytest.mark.parametrize(
    "archive",
    [
        b"",
        b"nonsense" * 1000,
        tar({}),
        tar({"people.csv": b"x"}),
        tar({**DIRECTORY, "../escape": b"x"}),
        tar({**DIRECTORY, "/etc/escape": b"x"}),
        tar({**DIRECTORY, "a/../../escape": b"x"}),
        tar(DIRECTORY, link="/etc/passwd"),
        tar({f"f{n}": b"" for n in range(1500)}),
        tar(DIRECTORY)[:700],
    ],
)
async def test_archives_that_are_refused(tmp_path: Path, archive: bytes) -> None:
    async with admin_world(tmp_path) as there:
        answer = await submit(there, archive, "application/x-tar")
        assert answer.status_code == 409, answer.text
        assert there.spool.names(Folder.NEW) == []
        assert there.spool.names(Folder.TMP) == []
        assert not (tmp_path / "escape").exists()


def form(files: dict[str, bytes], boundary: str = "x") -> tuple[bytes, str]:
    """A form as curl writes it, and its Content-Type."""
    parts = []
    for name, content in files.items():
        field = "job" if name == "job.toml" else "file"
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        )
        parts.append(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode())
        parts.append(content + b"\r\n")
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


PLAIN = {name.removeprefix("./"): content for name, content in DIRECTORY.items()}


async def test_a_directory_as_a_form(tmp_path: Path) -> None:
    async with taking(tmp_path) as there:
        for boundary in ("one", "another", "--one"):  # each try of a client has its own
            body, kind = form(PLAIN, boundary)
            answer = await submit(there, body, kind, idempotency_key="f")
            assert answer.json()["fate"] == "accepted", answer.text
        (job,) = there.opened
        assert job.total == 2
        (part,) = decode(await there.queue.content(job.id)).attachments
        assert (part.filename, part.data) == ("menu.pdf", PLAIN["menu.pdf"])
        body, kind = form({**PLAIN, "people.csv": b"email,name\nc@x.example,C\n"})
        answer = await submit(there, body, kind, idempotency_key="f")
        assert answer.status_code == 422
        assert "another body" in answer.text


async def test_a_form_that_a_client_of_others_writes(tmp_path: Path) -> None:
    async with taking(tmp_path) as there:
        answer = await there.client.post(
            "/v1/jobs",
            headers=there.bearer("submit"),
            files=[
                ("job", ("anything", PLAIN["job.toml"])),
                *(("file", (name, data)) for name, data in PLAIN.items() if name != "job.toml"),
            ],
        )
        assert answer.json()["fate"] == "accepted", answer.text


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (form(PLAIN)[0], "multipart/form-data", "names no boundary"),
        (form(PLAIN)[0], "multipart/form-data; boundary=y", "cut off"),
        (form(PLAIN)[0][:-4], form(PLAIN)[1], "cut off"),
        (form(PLAIN)[0][:700], form(PLAIN)[1], "cut off"),
        (b"", form(PLAIN)[1], "cut off"),
        (b"--x\r\n\r\n--x--", form(PLAIN)[1], "is no file"),
        (*form({"people.csv": b"x"}), "no part `job`"),
        (*form({**PLAIN, "../escape": b"x"}), "leads out"),
        (*form({**PLAIN, "/etc/escape": b"x"}), "leads out"),
        (*form({**PLAIN, "a%2f..%2f../escape": b"x"}), "leads out"),
        (*form({**PLAIN, "menu.pdf/x": b"x"}), "file and a folder"),
        (*form({f"f{n}": b"" for n in range(1500)}), "more than 1000 files"),
        (
            form(PLAIN)[0].replace(b'; filename="people.csv"', b""),
            form(PLAIN)[1],
            "is no file",
        ),
        (
            form(PLAIN)[0].replace(b'filename="menu.pdf', b'filename="people.csv'),
            form(PLAIN)[1],
            "is there twice",
        ),
    ],
)
async def test_forms_that_are_refused(tmp_path: Path, body: bytes, kind: str, said: str) -> None:
    async with admin_world(tmp_path) as there:
        answer = await submit(there, body, kind)
        assert answer.status_code == 409, answer.text
        assert said in answer.text
        assert there.spool.names(Folder.NEW) == []
        assert there.spool.names(Folder.TMP) == []
        assert not (tmp_path / "escape").exists()


@given(st.binary(max_size=300), st.sampled_from([b"x", b"--", b"\r\n"]))
def test_a_form_of_anything_is_read_or_refused(body: bytes, boundary: bytes) -> None:
    whole = b"--x\r\nContent-Disposition: form-data; name=job\r\n\r\n" + body + b"\r\n--x--"
    for one in (body, whole, whole[: len(whole) // 2]):
        with suppress(RefusedError):
            files_of(one, boundary, 10)


async def test_what_is_not_taken(tmp_path: Path) -> None:
    async with admin_world(tmp_path) as there:
        assert (await submit(there, b"x", "text/plain")).status_code == 415
        assert (await submit(there, b"x", "")).status_code == 415
        for name in ("api.x", "../../etc/passwd", "api.%2e%2e", "x"):
            answer = await there.client.get(
                f"/v1/submissions/{name}", headers=there.bearer("submit")
            )
            assert answer.status_code == 404


async def test_a_body_that_is_too_large(tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(70):
            yield b"x" * 1024 * 1024

    async with admin_world(tmp_path) as there:
        headers: Any = {**there.bearer("submit"), "content-type": "application/json"}
        answer = await there.client.post("/v1/jobs", content=chunks(), headers=headers)
        assert answer.status_code == 413
        assert there.spool.names(Folder.TMP) == []
