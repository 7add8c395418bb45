"""The `ekiden` command: its commands put together, and errors turned into words and exit codes.

Each module of this room has a `register(app)` that adds its commands; a new command is a module and
a line in `COMMANDS`. A command that is named loads its own module and no other; help, completion
and a word that is no command load all of them. Modules import at their top what `--help` needs and
nothing more: the rest is imported by the command that uses it, so that both answer at once.

Exit codes (docs/commands.md): 0 as asked; 1 what was asked is not so or was refused; 2 wrong usage
or configuration; 3 there is no such thing; 4 not available now; 70 a bug; 130 interrupted.
"""

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Annotated, Final

import typer

from ekiden import __version__
from ekiden.cli.output import complain
from ekiden.errors import ConfigError, EkidenError, NotFoundError, UnavailableError

# Module -> the words after `ekiden` that it answers to.
COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "run": ("run",),
    "status": ("status",),
    "jobs": ("jobs", "job"),
    "queue": ("queue", "delivery"),
    "suspend": ("suspend", "resume"),
    "suppressions": ("suppressions",),
    "lists": ("lists", "topics"),
    "contacts": ("contacts",),
    "identities": ("identities",),
    "sets": ("sets",),
    "tokens": ("tokens",),
    "templates": ("templates",),
    "events": ("events",),
    "check": ("check",),
    "classify": ("classify", "report"),
    "inbound": ("inbound",),
    "reputation": ("reputation",),
    "reactions": ("reactions",),
    "warmup": ("warmup",),
    "hours": ("hours",),
    "submit": ("submit",),
    "plan": ("plan",),
    "preview": ("preview",),
    "lint": ("lint",),
    "config": ("config",),
    "shaping": ("shaping",),
    "dkim": ("dkim",),
    "sink": ("sink",),
    "demo": ("demo",),
    "version": ("version",),
}

OK: Final = 0
NOT_SO: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
UNAVAILABLE: Final = 4
BUG: Final = 70  # EX_SOFTWARE of sysexits.h
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it


def build(word: str = "") -> typer.Typer:
    """Return the command line.

    Args:
        word: What follows `ekiden`: where it names a command nothing else is put in.
    """
    app = typer.Typer(
        name="ekiden",
        no_args_is_help=True,
        pretty_exceptions_enable=False,  # a pretty trace shows local variables, passwords included
        rich_markup_mode=None,  # plain help is read by people and programs, and starts at once
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_top)
    asked = [name for name, words in COMMANDS.items() if word in words]
    for name in asked or COMMANDS:
        importlib.import_module(f"ekiden.cli.{name}").register(app)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"ekiden {__version__}")
        raise typer.Exit


def _top(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """Ekiden delivers bulk and transactional mail from your own IP addresses."""


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
        build(sys.argv[1] if len(sys.argv) > 1 else "")()
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
