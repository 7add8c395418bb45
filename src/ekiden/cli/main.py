"""The `ekiden` command: its commands put together, and errors turned into words and exit codes.

Each module of this room has a `register(app)` that adds its commands; a new command is a module and
its name in `COMMANDS`. Modules import at their top what `--help` needs and nothing more: the rest
is imported by the command that uses it, so that help and completion answer at once.

Exit codes (docs/commands.md): 0 as asked; 1 what was asked is not so or was refused; 2 wrong usage
or configuration; 3 there is no such thing; 4 not available now; 70 a bug; 130 interrupted.
"""

import importlib
import os
import sys
from collections.abc import Iterator
from typing import Final

import typer

from ekiden.cli.output import complain
from ekiden.errors import ConfigError, EkidenError, NotFoundError, UnavailableError

COMMANDS: Final = (
    "run",
    "status",
    "jobs",
    "queue",
    "suspend",
    "suppressions",
    "lists",
    "contacts",
    "identities",
    "sets",
    "tokens",
    "templates",
    "events",
    "check",
    "classify",
    "inbound",
    "reputation",
    "reactions",
    "warmup",
    "hours",
    "submit",
    "plan",
    "preview",
    "lint",
    "config",
    "shaping",
    "dkim",
    "sink",
    "demo",
    "version",
)

OK: Final = 0
NOT_SO: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
UNAVAILABLE: Final = 4
BUG: Final = 70  # EX_SOFTWARE of sysexits.h
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it


def build() -> typer.Typer:
    """Return the whole command line."""
    app = typer.Typer(
        name="ekiden",
        help="Ekiden delivers bulk and transactional mail from your own IP addresses.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,  # a pretty trace shows local variables, passwords included
        rich_markup_mode=None,  # plain help is read by people and programs, and starts at once
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name in COMMANDS:
        importlib.import_module(f"ekiden.cli.{name}").register(app)
    return app


def exit_code(error: EkidenError) -> int:
    """Return the exit code that tells `error` to a program."""
    if isinstance(error, ConfigError):
        return USAGE
    if isinstance(error, NotFoundError):
        return NOT_FOUND
    return UNAVAILABLE if isinstance(error, UnavailableError) else NOT_SO


def expected(error: Exception) -> list[EkidenError]:
    """Return the errors in a group of failed tasks; none when one of them is a bug."""
    if not isinstance(error, ExceptionGroup):
        return []
    _, others = error.split(EkidenError)
    return list(leaves(error)) if others is None else []


def leaves(error: BaseException) -> Iterator[EkidenError]:
    """Yield the errors inside a group, and inside its groups."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    elif isinstance(error, EkidenError):
        yield error


def main() -> None:
    """Run the command line."""
    try:
        build()()
    except EkidenError as error:
        complain(error)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # `ekiden jobs | head`: nobody reads on; not even the closing flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(NOT_SO)
    except Exception as error:  # noqa: BLE001 - the top of the program: a bug is told as one
        told = expected(error)
        for one in told:
            complain(one)
        if told:
            sys.exit(exit_code(told[0]))
        sys.excepthook(type(error), error, error.__traceback__)
        print("\nThis is a bug in Ekiden; please report what is above.", file=sys.stderr)
        sys.exit(BUG)
