"""Libraries without what they load only because it is there."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


def load_log() -> None:
    """Load structlog without rich.

    It would take rich, a tenth of what a command loads, for tracebacks that show local variables,
    passwords included; ours never do.
    """
    with _as_if_missing("rich"):
        import structlog  # noqa: F401, PLC0415 - it is the loading that is wanted


@contextmanager
def _as_if_missing(name: str) -> Iterator[None]:
    """Let a library believe that another one, which it takes when it is there, is not installed."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # what the import system documents
    try:
        yield
    finally:
        del sys.modules[name]
