"""Webhooks: the signature, where they must not lead, what is done about every answer."""

import asyncio
import base64
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from standardwebhooks import Webhook as Verifier

from ekiden.errors import ConfigError, UnavailableError
from ekiden.events.destination import Parcel
from ekiden.events.model import Event, EventType
from ekiden.events.publisher import RetryAfterError, parcel
from ekiden.events.ses import Letter, encoded
from ekiden.events.webhook import Webhook, WebhookOptions, read_secrets
from hook_world import hook, status

SECRETS = (b"one secret of many bytes", b"the next one, longer still")


def event(number: int) -> Event:
    return Event(
        id=f"a{number}",
        time="2026-11-23T08:15:00.250Z",
        type=EventType.DELIVERED,
        job="news",
        job_uid="uid",
        recipient=f"r{number}@x.test",
        destination="x.test",
        delivery=number,
    )


def batch(count: int = 3, form: str = "ekiden") -> Parcel:
    told = [(one, encoded(one, Letter(), form, "t")) for one in map(event, range(1, count + 1))]
    return parcel([(one, body) for one, body in told if body is not None])


def to(url: str, **options: Any) -> Webhook:
    return Webhook(WebhookOptions(url, SECRETS, private=True, **options))


async def test_both_secrets_sign_as_standard_webhooks_want_it() -> None:
    async with hook() as there:
        sender = to(there.url)
        await sender.send(batch())
        await sender.close()
    ((headers, body),) = there.requests
    for secret in SECRETS:
        verifier = Verifier(base64.b64encode(secret).decode())
        assert [one["id"] for one in verifier.verify(body, headers)] == ["a1", "a2", "a3"]
    assert headers["host"] == f"127.0.0.1:{there.port}"
    assert headers["webhook-id"] == batch().id


async def test_one_at_a_time_is_no_array_and_sns_is_a_notification() -> None:
    async with hook() as there:
        sender = to(there.url, single=True)
        await sender.send(batch(1))
        await sender.close()
        notifier = to(there.url, sns=True)
        await notifier.send(batch(2, "sns"))
        await notifier.close()
    assert there.requests[0][1].startswith(b'{"id":"a1"')
    headers = there.requests[1][0]
    assert headers["x-amz-sns-message-type"] == "Notification"
    assert [one["Type"] for one in there.events[1:]] == ["Notification"] * 2
    assert len({request[0]["webhook-id"] for request in there.requests[1:]}) == 2


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://0.0.0.0/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[fe80::1]/",
        "http://10.1.2.3/",
        "http://169.254.169.254/latest/meta-data/",
        "http://100.64.0.1/",
        "http://192.168.1.1/",
        "http://0x7f.1/",
        "http://2130706433/",
    ],
)
async def test_nothing_of_our_own_network_is_reached(url: str) -> None:
    sender = Webhook(WebhookOptions(url, SECRETS))
    with pytest.raises(UnavailableError):
        await sender.send(batch())
    await sender.close()


async def test_a_name_that_leads_home_among_others_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding: what is judged is what is connected to, every time anew."""
    answers = [["93.184.216.34", "127.0.0.1"], ["127.0.0.1"]]

    async def lookup(*_: object, **__: object) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in answers.pop(0)
        ]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lookup)
    sender = Webhook(WebhookOptions("http://hooks.example/", SECRETS))
    for _ in range(2):
        with pytest.raises(UnavailableError, match=r"leads to 127\.0\.0\.1, a loopback address"):
            await sender.send(batch())
    assert not answers


async def test_the_name_is_looked_up_and_the_address_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with hook() as there:
        looked_up = []

        async def lookup(host: str, port: int, **_: object) -> list[Any]:
            looked_up.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lookup)
        sender = to(f"http://hooks.example:{there.port}/hook")
        await sender.send(batch())
        await sender.close()
    assert there.requests[0][0]["host"] == f"hooks.example:{there.port}"
    assert looked_up[0] == "hooks.example"


async def test_redirects_are_not_followed() -> None:
    async with hook() as there:
        there.answers.append(status(302, "location: http://127.0.0.1:1/"))
        sender = to(there.url)
        with pytest.raises(UnavailableError, match="302, a redirect"):
            await sender.send(batch())
        await sender.close()


@pytest.mark.parametrize("code", [400, 401, 404, 410, 429, 500, 503])
async def test_whatever_is_no_success_is_tried_again(code: int) -> None:
    async with hook() as there:
        there.answers.append(status(code))
        sender = to(there.url)
        with pytest.raises(UnavailableError, match=f"answers {code}"):
            await sender.send(batch())
        await sender.send(batch())
        await sender.close()
    assert len(there.events) == 3


async def test_the_receiver_says_when_to_come_again() -> None:
    async with hook() as there:
        there.answers.append(status(503, "retry-after: 120"))
        sender = to(there.url)
        with pytest.raises(RetryAfterError) as found:
            await sender.send(batch())
        await sender.close()
    assert found.value.seconds == 120


async def test_what_is_too_large_goes_in_halves() -> None:
    async with hook() as there:
        there.answers.extend([status(413), status(413), status(204)])
        sender = to(there.url)
        await sender.send(batch(5))
        await sender.close()
    assert [one["id"] for one in there.events] == ["a1", "a2", "a3", "a4", "a5"]
    assert len({headers["webhook-id"] for headers, _ in there.requests}) == len(there.requests)


async def test_silence_and_floods_end() -> None:
    async with hook() as there:
        there.silent = True
        sender = to(there.url, timeout=0.2)
        with pytest.raises(UnavailableError, match=r"no answer within 0\.2 s"):
            await sender.send(batch())
        await sender.close()
    async with hook() as there:
        there.answers.append(status(200, body=b"x" * 50_000_000))
        sender = to(there.url)
        await sender.send(batch())  # taken; the rest of the answer is not read
        await sender.close()


async def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with hook() as there:
        sender = to(there.url)
        await sender.send(batch())
        await sender.close()
    assert len(there.requests) == 1


def test_secrets() -> None:
    text = base64.b64encode(b"x" * 24).decode()
    assert read_secrets(f"whsec_{text}\n\nplain text of many bytes\n", "f") == (
        b"x" * 24,
        b"plain text of many bytes",
    )
    for bad in ("", "short", "whsec_$$$", "whsec_QUJD"):
        with pytest.raises(ConfigError):
            read_secrets(bad, "f")


def trusting(authority: trustme.CA, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this authority stand in for those of the public web, for clients made from now on."""
    file = folder / "ca.pem"
    authority.cert_pem.write_to_path(file)
    monkeypatch.setattr("certifi.where", lambda: str(file))


@pytest.mark.parametrize(
    ("issued_to", "known", "why"),
    [
        ("hooks.example", True, ""),
        ("127.0.0.1", True, "Hostname mismatch"),  # of the address, not of the name
        ("elsewhere.example", True, "Hostname mismatch"),
        ("hooks.example", False, "unable to get local issuer certificate"),
    ],
)
async def test_the_certificate_is_the_names_though_the_address_is_pinned(
    issued_to: str, known: bool, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, stranger = trustme.CA(), trustme.CA(organization_name="somebody else")
    trusting(authority, tmp_path, monkeypatch)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    (authority if known else stranger).issue_cert(issued_to).configure_cert(context)
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)

    async def lookup(_host: str, port: int, **_: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async with hook(tls=context) as there:
        sender = to(f"https://hooks.example:{there.port}/hook")
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lookup)
        if why:
            with pytest.raises(UnavailableError, match=why):
                await sender.send(batch())
            assert not there.requests  # nothing was told to whom it was not meant for
        else:
            await sender.send(batch())
            assert len(there.events) == 3
            assert there.requests[0][0]["host"] == f"hooks.example:{there.port}"
        await sender.close()
    assert asked == ["hooks.example"]
