r"""A mailbox that bounces go to, asked over IMAP: for senders whose MX is somebody else's server.

The standard library's `imaplib` blocks, so a round runs on a thread: connect, log in, take every
message without the flag `\\Seen`, hand it to the loop, wait until what follows is on the disk, and
only then flag or move it. A round that breaks in the middle leaves the rest for the next one; a
message that had been taken is then a duplicate. A mailbox that cannot be reached is told once, and
asked again with growing pauses.
"""

import asyncio
import contextlib
import imaplib
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import structlog

from ekiden import limits
from ekiden.errors import ConfigError, EkidenError, UnavailableError

_log = structlog.get_logger()
_PAUSE_MOST: Final = 3600.0  # seconds between tries while the mailbox cannot be reached


@dataclass(frozen=True, slots=True)
class ImapOptions:
    """Which mailbox.

    Args:
        host: The server.
        port: Its port.
        tls: From the start, after STARTTLS, or not.
        user: The user.
        password_file: Holds the password in its first line.
        folder: What is read.
        done: Where read mail is moved to; "" leaves it there, flagged.
        interval: Seconds between rounds.
        context: For TLS; None takes the system's trust.
    """

    host: str
    port: int
    tls: Literal["implicit", "starttls", "off"]
    user: str
    password_file: Path
    folder: str = "INBOX"
    done: str = ""
    interval: float = 60.0
    context: ssl.SSLContext | None = None


class Poller:
    """Asks the mailbox again and again.

    Args:
        options: Which mailbox.
        take: Takes one mail; returns when it is written down.
    """

    def __init__(
        self, options: ImapOptions, take: Callable[[bytes], Coroutine[Any, Any, object]]
    ) -> None:
        self._options = options
        self._take = take
        self.trouble = ""  # why the mailbox cannot be read now

    async def run(self) -> None:
        """Run until cancelled."""
        pause = self._options.interval
        while True:
            try:
                taken = await self.round()
            except EkidenError as error:
                if not self.trouble:
                    _log.error("the bounce mailbox cannot be read", error=str(error))
                self.trouble = str(error)
                pause = min(pause * 2, _PAUSE_MOST)
            else:
                self.trouble = ""
                pause = self._options.interval
                if taken >= limits.IMAP_MESSAGES:
                    continue
            await asyncio.sleep(pause)

    async def round(self) -> int:
        """Take what is new; returns how many messages that were.

        Raises:
            UnavailableError: The server or the disk refuses.
            ConfigError: The password file cannot be read.
        """
        loop = asyncio.get_running_loop()

        def take(raw: bytes) -> None:
            asyncio.run_coroutine_threadsafe(self._take(raw), loop).result()

        return await asyncio.to_thread(_round, self._options, take)


def _round(options: ImapOptions, take: Callable[[bytes], None]) -> int:
    try:
        mailbox = _connect(options)
    except (OSError, imaplib.IMAP4.error) as error:
        raise _unavailable(options, error) from error
    try:
        mailbox.login(options.user, _password(options.password_file))
        return _take_all(mailbox, options, take)
    except (OSError, imaplib.IMAP4.error) as error:
        raise _unavailable(options, error) from error
    finally:
        with contextlib.suppress(OSError, imaplib.IMAP4.error):
            mailbox.logout()


def _unavailable(options: ImapOptions, error: Exception) -> UnavailableError:
    return UnavailableError(
        f"the mailbox cannot be read: {error}",
        where=f"{options.user} at {options.host}:{options.port}",
        remedy="see inbound.imap in the configuration",
    )


def _connect(options: ImapOptions) -> imaplib.IMAP4:
    context = options.context or ssl.create_default_context()
    if options.tls == "implicit":
        return imaplib.IMAP4_SSL(
            options.host, options.port, ssl_context=context, timeout=limits.IMAP_TIMEOUT
        )
    mailbox = imaplib.IMAP4(options.host, options.port, timeout=limits.IMAP_TIMEOUT)
    if options.tls == "starttls":
        try:
            mailbox.starttls(context)
        except BaseException:
            with contextlib.suppress(OSError):  # a failed handshake has closed it
                mailbox.shutdown()
            raise
    return mailbox


def _password(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(
            f"the password cannot be read: {error.strerror}",
            where=str(path),
            remedy="write it into the file's first line, readable by the daemon alone",
        ) from error
    return lines[0] if lines else ""


def _take_all(mailbox: imaplib.IMAP4, options: ImapOptions, take: Callable[[bytes], None]) -> int:
    _done(mailbox.select(_quoted(options.folder)))
    found = _done(mailbox.uid("SEARCH", "UNSEEN"))
    numbers = [one.decode("ascii") for one in (found[0] or b"").split()][: limits.IMAP_MESSAGES]
    for number in numbers:
        # PEEK leaves the flag alone: it says "written down", not "looked at".
        parts = mailbox.uid("FETCH", number, f"(BODY.PEEK[]<0.{limits.INBOUND_KEPT_BYTES}>)")
        raw = next((part[1] for part in _done(parts) if isinstance(part, tuple)), None)
        if raw is None:
            continue  # somebody else deleted it meanwhile
        take(raw)
        _done(mailbox.uid("STORE", number, "+FLAGS.SILENT", r"(\Seen)"))
        if options.done:
            _move(mailbox, number, options.done)
    return len(numbers)


def _move(mailbox: imaplib.IMAP4, number: str, folder: str) -> None:
    if "MOVE" in mailbox.capabilities:  # RFC 6851
        _done(mailbox.uid("MOVE", number, _quoted(folder)))
        return
    _done(mailbox.uid("COPY", number, _quoted(folder)))
    _done(mailbox.uid("STORE", number, "+FLAGS.SILENT", r"(\Deleted)"))
    if "UIDPLUS" in mailbox.capabilities:  # RFC 4315: others' deleted mail is not ours to expunge
        _done(mailbox.uid("EXPUNGE", number))


def _done(answer: tuple[str, list[Any]]) -> list[Any]:
    kind, data = answer
    if kind != "OK":
        raise imaplib.IMAP4.error(f"{kind} {data!r:.200}")
    return data


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
