"""Events to an address on the web: signed batches, and nothing reached that should not be.

The signature is that of Standard Webhooks 1.0 (standardwebhooks.com), so that receivers need no
code of ours: `webhook-id`, `webhook-timestamp`, and `webhook-signature` with a `v1,` signature for
each secret (HMAC-SHA-256 over `ID.TIMESTAMP.BODY`); two secrets sign side by side while one follows
the other.

Where a request goes is decided here and not by DNS at the moment of connecting: the name is looked
up, every address it has is judged, and the connection is made to the address that was judged, with
the name only in TLS and `Host`. A name that leads into our own network is refused as a whole, also
when it has a public address besides. Redirects are not followed, proxies of the environment are not
asked, certificates are verified, and an answer is read for its status alone.
"""

import asyncio
import base64
import binascii
import hmac
import ipaddress
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

import httpx

from ekiden import limits
from ekiden.errors import ConfigError, UnavailableError
from ekiden.events.destination import Parcel
from ekiden.events.publisher import RetryAfterError
from ekiden.networks import AddressPolicy
from ekiden.text import printable

_SECRET_BYTES: Final = 16  # the shortest that is taken
_PREFIX: Final = "whsec_"
_TOO_LARGE: Final = 413


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """Where batches go.

    Args:
        url: The address.
        secrets: The keys; each one signs.
        timeout: Seconds for one request, all of it.
        private: Whether it may lead into private networks.
        single: Post each event by itself and not in an array.
        sns: Post as SNS does.
    """

    url: str
    secrets: tuple[bytes, ...]
    timeout: float = 15.0
    private: bool = False
    single: bool = False
    sns: bool = False


def read_secrets(text: str, where: str) -> tuple[bytes, ...]:
    """Return the secrets in a file: one in each line, `whsec_` and base64, or any long text.

    Raises:
        ConfigError: There is none, or one that is guessed too easily.
    """
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        secret = line.encode()
        if line.startswith(_PREFIX):
            try:
                secret = base64.b64decode(line.removeprefix(_PREFIX), validate=True)
            except binascii.Error as error:
                raise ConfigError("a secret is not base64", where=where) from error
        if len(secret) < _SECRET_BYTES:
            raise ConfigError(
                f"a secret has less than {_SECRET_BYTES} bytes",
                where=where,
                remedy='make one: echo "whsec_$(head -c 32 /dev/urandom | base64)"',
            )
        found.append(secret)
    if not found:
        raise ConfigError("there is no secret", where=where, remedy="write one into its first line")
    return tuple(found)


def sign(secrets: Sequence[bytes], name: str, at: int, body: bytes) -> str:
    """Return the `webhook-signature` of a request.

    Args:
        secrets: The keys.
        name: Its `webhook-id`.
        at: Its `webhook-timestamp`, UNIX seconds.
        body: Its body.
    """
    content = f"{name}.{at}.".encode() + body
    marks = (hmac.new(secret, content, sha256).digest() for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(mark).decode()}" for mark in marks)


class Webhook:
    """Posts parcels.

    Args:
        options: Where.
        now: UNIX seconds.
    """

    def __init__(self, options: WebhookOptions, now: Callable[[], float] = time.time) -> None:
        self._options = options
        self._now = now
        parts = urlsplit(options.url)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        networks = ("0.0.0.0/0", "::/0") if options.private else ()
        self._policy = AddressPolicy(tuple(map(ipaddress.ip_network, networks)))
        self._client: httpx.AsyncClient | None = None

    async def send(self, parcel: Parcel) -> None:
        """Post a parcel; one that is too large for the receiver goes in halves."""
        if self._options.single or self._options.sns:
            for at, body in enumerate(parcel.bodies):
                await self._post(f"{parcel.id}.{at}" if at else parcel.id, body)
            return
        try:
            await self._post(parcel.id, b"[" + b",".join(parcel.bodies) + b"]")
        except _TooLargeError:
            half = len(parcel.bodies) // 2
            if not half:
                raise
            for name, part in (("a", slice(half)), ("b", slice(half, None))):
                piece = Parcel(f"{parcel.id}{name}", parcel.events[part], parcel.bodies[part])
                await self.send(piece)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _post(self, name: str, body: bytes) -> None:
        at = int(self._now())
        headers = {
            "content-type": "application/json",
            "user-agent": "ekiden",
            "webhook-id": name,
            "webhook-timestamp": str(at),
            "webhook-signature": sign(self._options.secrets, name, at, body),
        }
        if self._options.sns:
            headers["content-type"] = "text/plain; charset=UTF-8"  # as SNS has it
            headers["x-amz-sns-message-type"] = "Notification"
        try:
            async with asyncio.timeout(self._options.timeout):
                status, again = await self._exchange(headers, body)
        except TimeoutError:
            raise self._refused(f"no answer within {self._options.timeout:g} s") from None
        except (httpx.HTTPError, OSError) as error:
            raise self._refused(str(error) or type(error).__name__) from error
        if 200 <= status < 300:
            return
        if status == _TOO_LARGE:
            raise _TooLargeError("the receiver answers 413: too large", where=self._options.url)
        told = f"the receiver answers {status}"
        if 300 <= status < 400:
            told += ", a redirect, which is not followed"
        if again is not None:
            raise RetryAfterError(told, where=self._options.url, seconds=again)
        raise self._refused(told)

    async def _exchange(self, headers: dict[str, str], body: bytes) -> tuple[int, float | None]:
        client = self._client = self._client or httpx.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            timeout=self._options.timeout,
            limits=httpx.Limits(max_connections=1),
        )
        address = await self._address()
        url = httpx.URL(self._options.url).copy_with(host=address)
        request = client.build_request(
            "POST",
            url,
            content=body,
            headers={**headers, "host": httpx.URL(self._options.url).netloc.decode()},
            extensions={"sni_hostname": self._host},
        )
        response = await client.send(request, stream=True)
        try:
            read = 0
            async for chunk in response.aiter_raw():
                read += len(chunk)
                if read > limits.WEBHOOK_ANSWER_BYTES:
                    break
        finally:
            await response.aclose()
        after = response.headers.get("retry-after", "")
        return response.status_code, float(after) if after.isascii() and after.isdigit() else None

    async def _address(self) -> str:
        """Return an address that may be connected to.

        Raises:
            UnavailableError: The name has none, or one that leads into our own network.
        """
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise self._refused(f"{self._host} cannot be looked up: {error.strerror}") from error
        addresses = [str(one[4][0]) for one in found]
        for address in addresses:
            if why := self._policy.objection(address.partition("%")[0]):
                raise UnavailableError(
                    f"{printable(self._host, 253)} leads to {address}, {why}",
                    where=self._options.url,
                    remedy="if that is meant, set private = true for this webhook",
                )
        return addresses[0]

    def _refused(self, why: str) -> UnavailableError:
        return UnavailableError(printable(why, 300), where=self._options.url)


class _TooLargeError(UnavailableError):
    """413."""
