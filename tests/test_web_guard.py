"""Who a request is from, how large it may be, and what every answer carries."""

import ipaddress
import time

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from ekiden.errors import RefusedError, UnavailableError
from ekiden.web.guard import HANDLERS, Guard, GuardOptions, client_of
from ekiden.web.throttle import Throttle, client_key
from ekiden.web.words import ENGLISH, JAPANESE

PROXIES = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("2001:db8:aa::/48")]


@pytest.mark.parametrize(
    ("peer", "said", "client"),
    [
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),  # no proxy of ours
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["1.2.3.4, 198.51.100.1"], "198.51.100.1"),  # what the client wrote itself
        ("127.0.0.1", ["1.2.3.4", "198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["198.51.100.1, 127.0.0.2"], "198.51.100.1"),  # two proxies in a row
        ("127.0.0.1", ["198.51.100.1, 2001:db8:aa::1"], "198.51.100.1"),
        ("127.0.0.1", ["nonsense"], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.1, nonsense"], "127.0.0.1"),
        ("127.0.0.1", ["127.0.0.3"], "127.0.0.3"),
        ("::ffff:127.0.0.1", ["2001:db8::5"], "2001:db8::5"),
        ("", ["198.51.100.1"], ""),
    ],
)
def test_the_client_behind_proxies(peer: str, said: list[str], client: str) -> None:
    headers = [(b"x-forwarded-for", one.encode()) for one in said]
    assert client_of(peer, headers, PROXIES) == client


@given(st.binary(max_size=200))
def test_any_forwarded_header_gives_an_address(said: bytes) -> None:
    found = client_of("127.0.0.1", [(b"x-forwarded-for", said)], PROXIES)
    ipaddress.ip_address(found)


def wrapped(**options: object) -> httpx.AsyncClient:
    async def echo(request: Request) -> PlainTextResponse:
        host = request.client.host if request.client else ""
        return PlainTextResponse(f"{host} {len(await request.body())}")

    async def fail(request: Request) -> PlainTextResponse:
        kinds = {"bug": ZeroDivisionError, "disk": UnavailableError, "no": RefusedError}
        raise kinds[request.path_params["what"]]("secret detail")

    routes = [
        Route("/", echo, methods=["GET", "POST"]),
        Route("/fail/{what}", fail),
    ]
    app = Guard(
        Starlette(routes=routes, exception_handlers=HANDLERS),
        GuardOptions(proxies=PROXIES, **options),  # type: ignore[arg-type]  # test data
    )
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=("127.0.0.1", 1)), base_url="http://t"
    )


@pytest.mark.parametrize(("what", "status"), [("bug", 500), ("disk", 503), ("no", 400)])
async def test_errors_say_nothing_about_us(what: str, status: int) -> None:
    async with wrapped() as client:
        answer = await client.get(f"/fail/{what}")
        assert answer.status_code == status
        assert "secret" not in answer.text
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["date"]


async def test_the_path_before_ours() -> None:
    async with wrapped(prefix="/mail") as client:
        for path, status in (("/mail/", 200), ("/mail", 200), ("/", 200), ("/mailx/", 404)):
            assert (await client.get(path)).status_code == status, path


async def test_a_length_that_is_none() -> None:
    async with wrapped(body=100) as client:
        for length in ("-1", "x", "1" * 40, "101"):
            answer = await client.post("/", content=b"", headers={"content-length": length})
            assert answer.status_code == 413, length
        assert (await client.post("/", content=b"x" * 100)).text == "127.0.0.1 100"


def test_a_bucket() -> None:
    throttle = Throttle(3, 60.0)
    assert [throttle.allows("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert throttle.allows("b", 0.0)
    assert not throttle.allows("a", 19.0)
    assert throttle.allows("a", 39.1)
    assert throttle.allows("a", 1e9)


def test_clients_are_remembered_in_a_bounded_number() -> None:
    throttle = Throttle(1, 60.0, clients=100)
    began = time.perf_counter()
    for n in range(100_000):
        throttle.allows(str(n), float(n) / 1000)
    assert time.perf_counter() - began < 10
    assert not throttle.allows("99999", 100.0)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", "unknown"),
        ("nonsense", "unknown"),
    ],
)
def test_who_shares_a_bucket(address: str, key: str) -> None:
    assert client_key(address) == key


def test_both_languages_say_the_same_things() -> None:
    assert ENGLISH.keys() == JAPANESE.keys()
    for key, phrase in ENGLISH.items():
        fields = sorted(part.partition("}")[0] for part in phrase.split("{")[1:])
        assert fields == sorted(p.partition("}")[0] for p in JAPANESE[key].split("{")[1:]), key
