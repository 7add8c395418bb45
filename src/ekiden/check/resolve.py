"""Puts questions to DNS: the only part of this room that touches the network."""

import asyncio
import ipaddress
from collections.abc import Sequence
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver

from ekiden.check.questions import NONE, Answer, Asking, Question, Status, T
from ekiden.text import printable

_MOST = 50  # records of one answer that are looked at
_AT_ONCE = 20


class Resolver:
    """Answers questions, each once.

    Args:
        nameservers: Addresses with ports; none for those of the system.
        timeout: Seconds for one question.
    """

    def __init__(self, nameservers: Sequence[tuple[str, int]] = (), timeout: float = 10.0) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=not nameservers)
        if nameservers:
            self._resolver.nameservers = [
                dns.nameserver.Do53Nameserver(str(ipaddress.ip_address(address)), port)
                for address, port in nameservers
            ]
        self._resolver.lifetime = timeout
        self._known: dict[Question, asyncio.Task[Answer]] = {}
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def answer(self, question: Question) -> Answer:
        """Return the answer to a question; never raises for what DNS does."""
        task = self._known.get(question)
        if task is None:
            task = self._known[question] = asyncio.create_task(self._ask(question))
        return await task

    async def _ask(self, question: Question) -> Answer:
        try:
            async with self._room:
                found = await self._resolver.resolve(
                    question.name, question.kind, search=False, raise_on_no_answer=False
                )
        except dns.resolver.NXDOMAIN:
            return NONE
        except (dns.exception.DNSException, OSError, UnicodeError) as error:
            return Answer(Status.FAILED, why=printable(str(error), 200))
        values = tuple(_text(data, question.kind) for data in list(found)[:_MOST])
        return Answer(Status.FOUND, values) if values else NONE


def _text(data: Any, kind: str) -> str:
    if kind == "TXT":
        return b"".join(data.strings).decode("ascii", "backslashreplace")
    if kind == "MX":
        return f"{data.preference} {data.exchange.to_text(omit_final_dot=True)}".rstrip(".")
    return str(data.to_text()).rstrip(".")


async def run(asking: Asking[T], resolver: Resolver) -> T:
    """Carry a judgement out."""
    try:
        question = next(asking)
        while True:
            question = asking.send(await resolver.answer(question))
    except StopIteration as stop:
        result: T = stop.value
        return result
