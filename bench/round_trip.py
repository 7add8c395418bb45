"""Messages per session and second to a receiver that is far away: BDAT against DATA.

    python -m bench.round_trip [--step 0.1] [--messages 40] [--sessions 10]

Both in turn, three times. DATA costs two round trips a message (the envelope with DATA, then the
content), BDAT one (RFC 3030: envelope and content in one write); nothing is ever sent past the end
of a message before its reply.
"""

import argparse
import asyncio
import time
from statistics import median

import uvloop

from bench.far import far
from ekiden.engine.connect import ConnectSpec, open_session
from ekiden.engine.session import Session
from ekiden.engine.sources import Source
from ekiden.networks import AddressPolicy, networks
from ekiden.smtp.outcome import Accepted

CONTENT = b"Subject: far\r\n\r\n" + b"The relay passes through the old town at noon.\r\n" * 85


async def rate(port: int, sessions: int, messages: int) -> float:
    """Return messages per session and second on open sessions."""
    spec = ConnectSpec(
        "far.example",
        Source("bench", "mail.sender.example", "127.0.0.1"),
        ("127.0.0.1",),
        port=port,
        policy=AddressPolicy(networks(["127.0.0.0/8"])),
        chunking=True,
    )

    async def carry() -> float:
        session = await open_session(spec)
        assert isinstance(session, Session), session
        began = time.perf_counter()
        for number in range(messages):
            outcome = await session.send("b@sender.example", f"p{number}@far.example", CONTENT)
            assert isinstance(outcome, Accepted), outcome
        seconds = time.perf_counter() - began
        await session.close()
        return messages / seconds

    return median(await asyncio.gather(*(carry() for _ in range(sessions))))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--step", type=float, default=0.1, help="the round trip, seconds")
    parser.add_argument("--messages", type=int, default=40)
    parser.add_argument("--sessions", type=int, default=10)
    asked = parser.parse_args()
    for _ in range(3):
        rates = []
        for chunking in (False, True):
            with far(asked.step, chunking=chunking) as port:
                rates.append(uvloop.run(rate(port, asked.sessions, asked.messages)))
        data, bdat = rates
        print(
            f"DATA {data:.2f}, BDAT {bdat:.2f} messages per session and second: {bdat / data:.2f}x"
        )


if __name__ == "__main__":
    main()
