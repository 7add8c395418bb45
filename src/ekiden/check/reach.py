"""Whether the host of an opt-out address answers: name, TLS and HTTP, and nothing else is asked.

Whoever fetches an opt-out address may leave by it: RFC 8058 makes a POST act at once, and at some
senders a GET does as well. So no address of a mail is ever fetched. What is asked is HEAD of the
root of its host, which names nobody, and any answer below 500 is one: the question is whether the
host is there at all, with a certificate that holds.

The name is looked up, every address it has is judged, and the connection is made to one that was
judged; redirects are not followed, and proxies of the environment are not asked.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable
from urllib.parse import urlsplit

import httpx

from ekiden.networks import AddressPolicy
from ekiden.text import printable

_BROKEN = 500


def origins(urls: Iterable[str]) -> list[str]:
    """Return the https hosts of addresses, each once, in their order; others are left out."""
    found: dict[str, None] = {}
    for url in urls:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            continue  # lint tells what is no address
        if parts.scheme.lower() == "https" and parts.hostname:
            host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            found[f"https://{host}{f':{port}' if port else ''}/"] = None
    return list(found)


async def unreachable(
    origin: str,
    policy: AddressPolicy,
    timeout: float,  # noqa: ASYNC109 - the bound of all of it, kept with asyncio.timeout
    *,
    trust: ssl.SSLContext | None = None,
) -> str:
    """Return why the host of an origin does not answer, "" when it does.

    Args:
        origin: As `origins` gives it.
        policy: Which networks may be asked.
        timeout: Seconds, for all of it.
        trust: Whose certificates hold; None for those the system's HTTP clients trust.
    """
    try:
        async with asyncio.timeout(timeout):
            return await _asked(origin, policy, trust)
    except TimeoutError:
        return f"no answer within {timeout:g} s"
    except (httpx.HTTPError, OSError) as error:
        return printable(str(error) or type(error).__name__, 200)


async def _asked(origin: str, policy: AddressPolicy, trust: ssl.SSLContext | None) -> str:
    url = httpx.URL(origin)
    port = url.port or 443
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            url.host, port, type=socket.SOCK_STREAM
        )
    except (OSError, UnicodeError):
        return "its name has no address"
    addresses = [str(one[4][0]) for one in found]
    for address in addresses:
        if why := policy.objection(address.partition("%")[0]):
            return f"its name leads to {address}, {why}"
    async with httpx.AsyncClient(
        trust_env=False, follow_redirects=False, verify=trust if trust is not None else True
    ) as client:
        response = await client.head(
            url.copy_with(host=addresses[0]),
            headers={"host": url.netloc.decode(), "user-agent": "ekiden"},
            extensions={"sni_hostname": url.host},
        )
    return f"it answers {response.status_code}" if response.status_code >= _BROKEN else ""
