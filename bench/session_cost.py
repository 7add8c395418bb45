"""What a message costs on an open session, and what an idle session weighs.

    python bench/session_cost.py            # needs postfix's smtp-sink
    python bench/session_cost.py --memory 2000

CPU is that of this process alone (`time.process_time`); smtp-sink runs beside it. The message is
checked, dot-stuffed and pipelined as always. Memory is the growth of the resident set per session
after a first hundred, all sessions greeted and used once, nothing under way; for TLS the peer is a
child process of ours, since smtp-sink speaks none.

Measured on 2 shared cores (load 4) with CPython 3.11, uvloop 0.23, OpenSSL 3:

    sessions   size   CPU ms/message (median, best)   messages/s
           1    4 KB      0.088    0.077                   3385
           1   30 KB      0.151    0.144                   1495
          20    4 KB      0.068    0.063                   5861
          20   30 KB      0.145    0.140                   1615

    idle session in the clear:  2.7 KB
    idle session in TLS:       51.4 KB

Of 30 KB's extra 0.07 ms, about 0.02 is the check for bare CR and LF, 0.025 the search for lines
that begin with a dot, the rest copies and the kernel. A TLS session's weight is OpenSSL's state and
the touched part of the event loop's two 256 KiB buffers, which uvloop fixes at compile time; they
are allocated but not resident until used.
"""

import argparse
import asyncio
import gc
import os
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import trustme
import uvloop

from ekiden.engine.connect import ConnectSpec, open_session
from ekiden.engine.session import Session
from ekiden.engine.sources import Source
from ekiden.engine.tls import TlsContexts, TlsPolicy
from ekiden.networks import AddressPolicy, networks
from ekiden.smtp.outcome import Accepted

SOURCE = Source("bench", "mail.example.com", "127.0.0.1")
LOOPBACK = AddressPolicy(networks(["127.0.0.0/8"]))
PAGE = os.sysconf("SC_PAGE_SIZE")


def content(size: int) -> bytes:
    line = b"The quick brown fox jumps over the lazy dog, and then some more of it.\r\n"
    return b"Subject: bench\r\n\r\n" + line * (size // len(line))


def sink(sessions: int) -> tuple[subprocess.Popen[bytes], int]:
    program = shutil.which("smtp-sink", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        sys.exit("smtp-sink is missing: apt-get install postfix")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    process = subprocess.Popen(
        [program, *user, "-m", str(sessions + 8), f"127.0.0.1:{port}", "1024"]
    )
    time.sleep(0.3)
    return process, port


def spec(port: int, contexts: TlsContexts, *, tls: bool) -> ConnectSpec:
    policy = TlsPolicy.REQUIRED if tls else TlsPolicy.OFF
    return ConnectSpec(
        "sink.test",
        SOURCE,
        ("127.0.0.1",),
        port=port,
        policy=LOOPBACK,
        tls=policy,
        contexts=contexts,
    )


async def opened(how: ConnectSpec) -> Session:
    session = await open_session(how)
    if not isinstance(session, Session):
        sys.exit(f"no session: {session}")
    return session


async def carry(session: Session, message: bytes, count: int) -> None:
    for _ in range(count):
        outcome = await session.send("bounce@example.com", "someone@example.net", message)
        if not isinstance(outcome, Accepted):
            sys.exit(f"not accepted: {outcome}")


async def cost(port: int, sessions: int, size: int, messages: int) -> tuple[float, float]:
    """CPU milliseconds per message, and messages per second."""
    how = spec(port, TlsContexts(), tls=False)
    open_ones = [await opened(how) for _ in range(sessions)]
    message = content(size)
    await asyncio.gather(*(carry(session, message, 20) for session in open_ones))
    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(carry(session, message, messages // sessions) for session in open_ones))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    for session in open_ones:
        session.abort()
    return cpu / messages * 1e3, messages / wall


def costs() -> None:
    process, port = sink(64)
    try:
        print("sessions   size   CPU ms/message (median, best)   messages/s")
        for sessions in (1, 20):
            for size in (4_000, 30_000):
                runs = [uvloop.run(cost(port, sessions, size, 4000)) for _ in range(5)]
                spent = [run[0] for run in runs]
                rate = statistics.median(run[1] for run in runs)
                print(
                    f"{sessions:8} {size // 1000:4} KB   "
                    f"{statistics.median(spent):8.3f} {min(spent):8.3f} {rate:26.0f}"
                )
    finally:
        process.kill()


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE


async def weight(port: int, sessions: int, *, tls: bool) -> float:
    how = spec(port, TlsContexts(), tls=tls)
    kept: list[Session] = []
    base = 0
    for at in range(sessions + 100):
        if at == 100:
            base = resident()
        session = await opened(how)
        await carry(session, content(4000), 1)
        kept.append(session)
    await asyncio.sleep(0.2)
    grown = resident() - base
    for session in kept:
        session.abort()
    return grown / sessions / 1024


PEER = r"""
import asyncio, ssl, sys, uvloop
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(sys.argv[1])
async def serve(reader, writer):
    writer.write(b"220 x\r\n")
    while line := await reader.readline():
        verb = line[:4].upper()
        if verb == b"EHLO":
            writer.write(b"250-x\r\n250-PIPELINING\r\n250 STARTTLS\r\n")
        elif verb == b"STAR":
            writer.write(b"220 go\r\n")
            await writer.start_tls(context)
        elif verb == b"DATA":
            writer.write(b"354 go\r\n")
            await reader.readuntil(b"\r\n.\r\n")
            writer.write(b"250 ok\r\n")
        else:
            writer.write(b"250 ok\r\n")
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def weights(sessions: int) -> None:
    process, port = sink(sessions + 100)
    try:
        print(f"idle session in the clear: {uvloop.run(weight(port, sessions, tls=False)):.1f} KB")
    finally:
        process.kill()
    with tempfile.TemporaryDirectory() as folder:
        chain = Path(folder) / "chain.pem"
        trustme.CA().issue_cert("sink.test").private_key_and_cert_chain_pem.write_to_path(chain)
        ssl.create_default_context()  # fail here rather than in the child
        peer = subprocess.Popen(
            [sys.executable, "-c", PEER, str(chain)], stdout=subprocess.PIPE, text=True
        )
        try:
            port = int(peer.stdout.readline()) if peer.stdout else 0
            heavy = uvloop.run(weight(port, min(sessions, 500), tls=True))
            print(f"idle session in TLS:       {heavy:.1f} KB")
        finally:
            peer.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--memory", type=int, default=0, metavar="SESSIONS")
    arguments = parser.parse_args()
    if arguments.memory:
        weights(arguments.memory)
    else:
        costs()


if __name__ == "__main__":
    main()
