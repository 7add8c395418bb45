"""The daemon as a process: the event loop, signals, the service manager, what it says.

TERM and INT end it in order (`app.App.run`), HUP reads the configuration again.
"""

import asyncio
import gc
import signal
import sys
import time
from pathlib import Path
from typing import Final, Literal

import structlog
import uvloop

from ekiden import __version__
from ekiden.app import build
from ekiden.config import Config
from ekiden.control.notify import Notifier
from ekiden.dkim import batch

_log = structlog.get_logger()

# Seconds after which who holds the interpreter lock yields it. The database's thread wants it a few
# times in each group and the loop beside an intake for a turn: at 1 ms a message spent 1.5 ms in a
# signing thread of Python's for 0.45 ms of CPU. At 0.2 ms an intake used 14 % more than at 2 ms.
SWITCH_INTERVAL: Final = 0.0005
# Nearly everything a message or a row leaves behind is freed by counting; walking what lives after
# every 700 new objects, as is the default, takes a tenth of the time of an intake. What survives is
# walked once more while it is at most 6,000 objects: half a million, of ten thousand sessions,
# would keep the loop for half a second, and are walked after a hundred million new ones only.
GC_THRESHOLDS: Final = (2_000, 2, 16_000)


def tune() -> None:
    """Set the interpreter up for one busy loop beside a few threads."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.set_threshold(*GC_THRESHOLDS)
    gc.freeze()  # the modules
    gc.enable()


async def serve(config: Config, path: Path | None = None) -> None:
    """Run the daemon until TERM or INT."""
    stop = asyncio.Event()
    notifier = Notifier()
    async with build(config, path) as app:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)

        def reload() -> None:
            notifier.reloading(time.monotonic())
            app.reload()
            notifier.ready("running")

        loop.add_signal_handler(signal.SIGHUP, reload)
        alive = asyncio.create_task(notifier.keep_alive(), name="watchdog")

        def ready() -> None:
            # What starting made lives as long as the process: it is not walked again. Nor is it
            # searched for garbage first, 0.1 s for a thousand objects.
            gc.freeze()
            _log.info(
                "ekiden runs",
                version=__version__,
                spool=str(config.spool.directory),
                signatures=batch.manner(),
            )
            notifier.ready("running")

        try:
            await app.run(stop, ready)
        finally:
            notifier.stopping()
            alive.cancel()
    _log.info("ekiden ended; everything is on the disk")


def run(config: Config, path: Path | None = None) -> None:
    """Run the daemon in the foreground; see `serve`."""
    configure_log(config.log.level, config.log.format)
    tune()
    uvloop.run(serve(config, path))


def configure_log(level: str, form: Literal["auto", "console", "json"]) -> None:
    """Set up what the daemon says on standard error.

    Args:
        level: The least important line that is shown.
        form: For people, JSON, or by what standard error is.
    """
    people = form == "console" or (form == "auto" and sys.stderr.isatty())
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer() if people else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
