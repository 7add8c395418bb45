"""Running commands in tests: in this process, through the same `main` that a shell calls."""

import asyncio
import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import pytest

from ekiden.cli.main import main


@dataclass(frozen=True)
class Result:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        return [line.split("\t") for line in self.out.splitlines()]

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Result]


def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs `ekiden ARGUMENTS...`."""

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["ekiden", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1 if ended.code else 0
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@contextlib.contextmanager
def beside(service: Callable[[], AbstractAsyncContextManager[Any]]) -> Iterator[Any]:
    """Run an asynchronous service on a loop of its own in a thread, as another process would."""
    started: threading.Event = threading.Event()
    held: dict[str, Any] = {}

    async def serve() -> None:
        stop = asyncio.Event()
        held["stop"] = (asyncio.get_running_loop(), stop)
        async with service() as value:
            held["value"] = value
            started.set()
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - told to the test below
            held["error"] = error
            started.set()

    thread = threading.Thread(target=run)
    thread.start()
    started.wait(10)
    try:
        if "error" in held:
            raise held["error"]
        yield held["value"]
    finally:
        loop, stop = held["stop"]
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)
        thread.join(10)
    if "error" in held:
        raise held["error"]
