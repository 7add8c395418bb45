"""The errors that speak to a person.

Every error a person may see says three things: what is wrong, where, and what to do. Rooms raise
these (or subclasses of their own); `cli/` prints them and turns them into exit codes. Anything else
that reaches the top is a bug and is shown as one.
"""


class EkidenError(Exception):
    """What went wrong, told to a person.

    Args:
        what: What is wrong, in one sentence.
        where: The file, line, key or row it is about; empty when there is no such place.
        remedy: What to do about it, as an instruction; empty when nothing can be done.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} -- {self.remedy}" if self.remedy else text


class ConfigError(EkidenError):
    """The configuration cannot be used: `where` is the key's path and line."""


class RefusedError(EkidenError):
    """A request that was understood and is refused (wrong state, not found, not allowed)."""


class NotFoundError(RefusedError):
    """What was asked for does not exist."""


class UnavailableError(EkidenError):
    """Cannot be done now, may work later (disk full, another daemon, no answer)."""
