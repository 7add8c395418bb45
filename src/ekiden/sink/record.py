"""The record: one JSON line for each thing that happened, written before the client hears of it.

Lines go to the file with one unbuffered write each, so that they survive whatever happens to the
client or to the sink; a line is at most a few hundred bytes, so writes with O_APPEND do not mix.
`docs/sink.md` documents the fields.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from ekiden.errors import EkidenError
from ekiden.smtpd.wire import text

_MESSAGE_ID: Final = re.compile(
    rb"^message-id:[ \t]*(?:\r\n[ \t]+)?([^\r\n]*)", re.IGNORECASE | re.MULTILINE
)
_DKIM: Final = re.compile(rb"^dkim-signature:", re.IGNORECASE | re.MULTILINE)


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the record.

    Args:
        kind: `open` and `close` frame a session; `refused` is a session over the cap;
            `transaction` is one recipient of one transaction.
        time: UNIX seconds.
        session: The session's number, as text, unique in the record of one run.
        provider: The profile that plays the receiver; empty while it is not known yet.
        site: Whose caps are counted: the provider, or one of the small receivers that share the
            generic profile.
        local: The address and port connected to.
        peer: The client's address and port.
        ehlo: The name that the client gave.
        tls: Version and cipher, empty for clear text.
        sender: The envelope sender.
        recipient: The envelope recipient.
        stage: Where the reply was given: connect, mail, rcpt or body.
        reply: The reply, lines joined by a newline; empty when none was given.
        accepted: The sink has taken the message for this recipient.
        answered: The client was sent that reply (false for drop-after-dot, disconnect, reset).
        size: Octets of the message, as received and unstuffed.
        sha256: Of those octets, hexadecimal.
        message_id: The Message-ID header, as it stands.
        dkim: How many DKIM-Signature fields the message has.
        open: Sessions of this provider open after this line; for open and close.
        open_peer: Sessions of this peer's address open at this site: what the cap counts.
    """

    kind: str
    time: float
    session: str
    provider: str = ""
    site: str = ""
    local: str = ""
    peer: str = ""
    ehlo: str = ""
    tls: str = ""
    sender: str = ""
    recipient: str = ""
    stage: str = ""
    reply: str = ""
    accepted: bool = False
    answered: bool = True
    size: int = 0
    sha256: str = ""
    message_id: str = ""
    dkim: int = 0
    open: int = 0
    open_peer: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What a line says of a message; as `Line` has them."""

    size: int = 0
    sha256: str = ""
    message_id: str = ""
    dkim: int = 0


def facts_of(message: bytes) -> Facts:
    """Return what the record says of a message: its octets are counted, summed and looked into."""
    head, _, _ = message.partition(b"\r\n\r\n")
    identity = _MESSAGE_ID.search(head)
    return Facts(
        size=len(message),
        sha256=hashlib.sha256(message).hexdigest(),
        message_id=text(identity.group(1).strip()) if identity else "",
        dkim=len(_DKIM.findall(head)),
    )


class Record:
    """The record file; with no path it only passes lines on.

    Args:
        path: The file to append to, or None.
        listener: Called with every line, in order; for tests and live views.
    """

    def __init__(
        self, path: Path | None = None, listener: Callable[[Line], None] | None = None
    ) -> None:
        self._encoder = msgspec.json.Encoder()
        self._listener = listener
        self._file = -1
        if path is not None:
            try:
                self._file = os.open(
                    path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
                )
            except OSError as error:
                raise EkidenError(
                    f"The record cannot be written: {error.strerror}",
                    where=str(path),
                    remedy="Name a file in a directory that exists and is yours.",
                ) from error

    def write(self, line: Line) -> None:
        """Append one line, in one write."""
        if self._file >= 0:
            os.write(self._file, self._encoder.encode(line) + b"\n")
        if self._listener is not None:
            self._listener(line)

    def close(self) -> None:
        """Close the file; lines are on their way to the disk already."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_record(path: Path) -> Iterator[Line]:
    """Yield the lines of a record; a torn last line (a sink that was killed) is left out.

    Raises:
        msgspec.DecodeError: A whole line is not one of ours.
    """
    decoder = msgspec.json.Decoder(Line)
    with path.open("rb") as file:
        for raw in file:
            if not raw.endswith(b"\n"):
                return
            yield decoder.decode(raw)
