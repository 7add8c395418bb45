"""Sessions against peers that misbehave: each row of the tables is one way to do so.

Every row is played on asyncio's loop and on uvloop, since their transports differ in when they
report what. Nothing a peer does may raise; each gives one outcome, and the session knows whether it
can be used again.
"""

from dataclasses import dataclass, field

import pytest

from ekiden.engine.connect import open_session
from ekiden.engine.deadlines import Deadlines
from ekiden.smtp.outcome import Cause, Stage
from scripted_peer import (
    CHUNKING,
    CONTENT,
    PLAIN,
    SOON,
    YES,
    Do,
    Peer,
    Script,
    Shape,
    broke,
    doubt,
    no,
    on,
    opened,
    send,
    shape,
    spec_for,
)

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])

# --- misbehaviour while opening -------------------------------------------------------------------


OPENING: list[tuple[str, Script, Shape]] = [
    ("554 greeting", {"CONNECT": b"554 5.7.1 Go away\r\n"}, no(Stage.CONNECT, 554)),
    ("521 greeting", {"CONNECT": b"521 no mail here\r\n"}, no(Stage.CONNECT, 521)),
    ("421 greeting", {"CONNECT": b"421 4.3.2 Busy\r\n"}, no(Stage.CONNECT, 421)),
    ("421 and close", {"CONNECT": (b"421 Busy\r\n", Do.CLOSE)}, no(Stage.CONNECT, 421)),
    ("multiline 554", {"CONNECT": b"554-no\r\n554 never\r\n"}, no(Stage.CONNECT, 554)),
    ("250 greeting", {"CONNECT": b"250 hi\r\n"}, broke(Stage.CONNECT, Cause.PROTOCOL)),
    ("no SMTP", {"CONNECT": b"SSH-2.0-OpenSSH_9\r\n"}, broke(Stage.CONNECT, Cause.PROTOCOL)),
    ("2_0 greeting", {"CONNECT": b"2_2 hi\r\n"}, broke(Stage.CONNECT, Cause.PROTOCOL)),
    ("close", {"CONNECT": Do.CLOSE}, broke(Stage.CONNECT, Cause.CLOSED)),
    ("reset", {"CONNECT": Do.RESET}, broke(Stage.CONNECT, Cause.RESET)),
    ("silence", {"CONNECT": Do.STALL}, broke(Stage.CONNECT, Cause.TIMED_OUT)),
    ("endless line", {"CONNECT": b"220" + b"x" * 40000}, broke(Stage.CONNECT, Cause.PROTOCOL)),
    (
        "endless lines",
        {"CONNECT": b"220-x\r\n" * 20000},
        broke(Stage.CONNECT, Cause.PROTOCOL),
    ),
    (
        "a reply too many",
        {"CONNECT": b"220 hi\r\n250-x\r\n250 STARTTLS\r\n"},
        broke(Stage.EHLO, Cause.PROTOCOL),
    ),
    ("550 EHLO and HELO", {"EHLO": b"550 no\r\n", "HELO": b"550 no\r\n"}, no(Stage.EHLO, 550)),
    ("421 EHLO", {"EHLO": (b"421 no\r\n", Do.CLOSE)}, no(Stage.EHLO, 421)),
    ("451 EHLO", {"EHLO": b"451 later\r\n"}, no(Stage.EHLO, 451)),
    ("EHLO closes", {"EHLO": Do.CLOSE}, broke(Stage.EHLO, Cause.CLOSED)),
    ("EHLO silence", {"EHLO": Do.STALL}, broke(Stage.EHLO, Cause.TIMED_OUT)),
    ("EHLO drips", {"EHLO": Do.DRIP}, broke(Stage.EHLO, Cause.TIMED_OUT)),
    ("EHLO nonsense", {"EHLO": b"hello\r\n"}, broke(Stage.EHLO, Cause.PROTOCOL)),
    ("EHLO 2_5", {"EHLO": b"2_5 ok\r\n"}, broke(Stage.EHLO, Cause.PROTOCOL)),
    ("EHLO mixed codes", {"EHLO": b"250-a\r\n220 b\r\n"}, broke(Stage.EHLO, Cause.PROTOCOL)),
    ("EHLO twice", {"EHLO": PLAIN + PLAIN}, broke(Stage.EHLO, Cause.PROTOCOL)),
    ("EHLO and more", {"EHLO": PLAIN + b"25"}, broke(Stage.EHLO, Cause.PROTOCOL)),
    ("EHLO 354", {"EHLO": b"354 go\r\n"}, broke(Stage.EHLO, Cause.PROTOCOL)),
    ("EHLO endless", {"EHLO": b"250-x\r\n" * 20000}, broke(Stage.EHLO, Cause.PROTOCOL)),
]


@LOOPS
@pytest.mark.parametrize(
    ("script", "expected"), [row[1:] for row in OPENING], ids=[row[0] for row in OPENING]
)
def test_opening(loop: str, script: Script, expected: Shape) -> None:
    async def main() -> None:
        slow = Do.STALL in script.values() or Do.DRIP in script.values()
        deadlines = Deadlines(greeting=SOON, ehlo=SOON) if slow else Deadlines()
        async with Peer(script) as peer:
            got = await open_session(spec_for(peer, deadlines=deadlines))
            assert shape(got) == expected

    on(loop, main)


# --- misbehaviour in a transaction ----------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """How a peer behaves, and what must come of it."""

    script: Script
    expected: Shape
    usable: bool = False
    then: Shape | None = None  # the next send's shape, on the same session
    messages: int = 0  # contents the peer must have seen at the end
    deadlines: Deadlines = field(default_factory=Deadlines)
    chunking: bool = False


ROWS: dict[str, Row] = {
    "well-behaved": Row({}, YES, usable=True, then=YES, messages=2),
    "well-behaved, no PIPELINING": Row({"EHLO": PLAIN}, YES, usable=True, then=YES, messages=2),
    "HELO only": Row({"EHLO": b"502 what?\r\n"}, YES, usable=True, then=YES, messages=2),
    "BDAT": Row({"EHLO": CHUNKING}, YES, usable=True, then=YES, messages=2, chunking=True),
    "MAIL 5xx": Row(
        {"MAIL 1": b"550 no\r\n", "RCPT 1": b"503 no\r\n", "DATA 1": b"503 no\r\n"},
        no(Stage.MAIL, 550),
        usable=True,
        then=YES,
        messages=1,
    ),
    "MAIL 4xx": Row(
        {"MAIL 1": b"451 no\r\n", "RCPT 1": b"503 no\r\n", "DATA 1": b"503 no\r\n"},
        no(Stage.MAIL, 451),
        usable=True,
        then=YES,
        messages=1,
    ),
    "RCPT 5xx": Row(
        {"RCPT 1": b"550 no\r\n", "DATA 1": b"554 no\r\n"},
        no(Stage.RCPT, 550),
        usable=True,
        then=YES,
        messages=1,
    ),
    "RCPT 5xx, 354": Row(
        {"RCPT 1": b"550 no\r\n", "DOT 1": b"554 none\r\n"},
        no(Stage.RCPT, 550),
        usable=True,
        then=YES,
        messages=2,
    ),
    "RCPT 5xx, 354, then 250": Row(
        {"RCPT 1": b"550 no\r\n"}, no(Stage.RCPT, 550), usable=True, then=YES, messages=2
    ),
    "RCPT 5xx, no PIPELINING": Row(
        {"EHLO": PLAIN, "RCPT 1": b"550 no\r\n"},
        no(Stage.RCPT, 550),
        usable=True,
        then=YES,
        messages=1,
    ),
    "DATA 4xx": Row(
        {"DATA 1": b"451 no\r\n"}, no(Stage.DATA, 451), usable=True, then=YES, messages=1
    ),
    "DOT 5xx": Row(
        {"DOT 1": b"550 spam\r\n"}, no(Stage.BODY, 550), usable=True, then=YES, messages=2
    ),
    "BDAT RCPT 5xx": Row(
        {"EHLO": CHUNKING, "RCPT 1": b"550 no\r\n", "BDAT 1": b"503 no\r\n"},
        no(Stage.RCPT, 550),
        usable=True,
        then=YES,
        messages=2,
        chunking=True,
    ),
    "replies as one multiline each": Row(
        {
            "MAIL": b"250-a\r\n250 b\r\n",
            "RCPT": b"250-a\r\n250 b\r\n",
            "DATA": b"354-a\r\n354 b\r\n",
        },
        YES,
        usable=True,
        then=YES,
        messages=2,
    ),
    "replies in single bytes": Row(
        {
            "MAIL": tuple(bytes([b]) for b in b"250 ok\r\n"),
            "DOT": tuple(bytes([b]) for b in b"250 ok\r\n"),
        },
        YES,
        usable=True,
        messages=1,
    ),
    "replies end in LF": Row(
        {"MAIL": b"250 ok\n", "RCPT": b"250 ok\n", "DATA": b"354 go\n", "DOT": b"250 ok\n"},
        YES,
        usable=True,
        then=YES,
        messages=2,
    ),
    "replies in 8 bit": Row({"DOT": b"250 \xff\xfe\x1b]0;x\x07\r\n"}, YES, usable=True, messages=1),
    "421 at MAIL": Row({"MAIL": (b"421 later\r\n", Do.CLOSE)}, no(Stage.MAIL, 421)),
    "421 at RCPT": Row({"RCPT": (b"421 later\r\n", Do.CLOSE)}, no(Stage.RCPT, 421)),
    "421 at RCPT, stays open": Row({"RCPT": b"421 later\r\n"}, no(Stage.RCPT, 421)),
    "421 at DATA": Row({"DATA": (b"421 later\r\n", Do.CLOSE)}, no(Stage.DATA, 421)),
    "421 after the dot": Row(
        {"DOT": (b"421 later\r\n", Do.CLOSE)}, no(Stage.BODY, 421), messages=1
    ),
    "close at MAIL": Row({"MAIL": Do.CLOSE}, broke(Stage.MAIL, Cause.CLOSED)),
    "close at RCPT": Row({"RCPT": Do.CLOSE}, broke(Stage.RCPT, Cause.CLOSED)),
    "close at DATA": Row({"DATA": Do.CLOSE}, broke(Stage.DATA, Cause.CLOSED)),
    "close after 354": Row({"DATA": (b"354 go\r\n", Do.CLOSE)}, ("doubt or reset",)),
    "close after the dot": Row({"DOT": Do.CLOSE}, doubt(Cause.CLOSED), messages=1),
    "reset at MAIL": Row({"MAIL": Do.RESET}, broke(Stage.MAIL, Cause.RESET)),
    "reset at RCPT": Row({"EHLO": PLAIN, "RCPT": Do.RESET}, broke(Stage.RCPT, Cause.RESET)),
    "reset after the dot": Row({"DOT": Do.RESET}, doubt(Cause.RESET), messages=1),
    "BDAT, then reset": Row(
        {"EHLO": CHUNKING, "MAIL": Do.RESET}, doubt(Cause.RESET), chunking=True
    ),
    "silence at MAIL": Row(
        {"MAIL": Do.STALL}, broke(Stage.MAIL, Cause.TIMED_OUT), deadlines=Deadlines(mail=SOON)
    ),
    "silence at RCPT": Row(
        {"RCPT": Do.STALL}, broke(Stage.RCPT, Cause.TIMED_OUT), deadlines=Deadlines(rcpt=SOON)
    ),
    "silence at DATA": Row(
        {"DATA": Do.STALL}, broke(Stage.DATA, Cause.TIMED_OUT), deadlines=Deadlines(data=SOON)
    ),
    "silence after the dot": Row(
        {"DOT": Do.STALL}, doubt(Cause.TIMED_OUT), messages=1, deadlines=Deadlines(dot=SOON)
    ),
    "drips after the dot": Row(
        {"DOT": Do.DRIP}, doubt(Cause.TIMED_OUT), messages=1, deadlines=Deadlines(dot=SOON)
    ),
    "silence after a lone dot": Row(
        {"RCPT": b"550 no\r\n", "DOT": Do.STALL},
        no(Stage.RCPT, 550),
        messages=1,
        deadlines=Deadlines(rset=SOON),
    ),
    "half a reply, then close": Row(
        {"RCPT": (b"250 o", Do.CLOSE)}, broke(Stage.RCPT, Cause.CLOSED)
    ),
    "half a reply to the dot, then close": Row(
        {"DOT": (b"25", Do.CLOSE)}, doubt(Cause.CLOSED), messages=1
    ),
    "nonsense at RCPT": Row({"RCPT": b"OK!\r\n"}, broke(Stage.RCPT, Cause.PROTOCOL)),
    "nonsense after the dot": Row({"DOT": b"accepted\r\n"}, doubt(Cause.PROTOCOL), messages=1),
    "2_5 after the dot": Row({"DOT": b"2_5 ok\r\n"}, doubt(Cause.PROTOCOL), messages=1),
    "mixed codes after the dot": Row(
        {"DOT": b"250-a\r\n550 b\r\n"}, doubt(Cause.PROTOCOL), messages=1
    ),
    "endless reply after the dot": Row(
        {"DOT": b"250-x\r\n" * 9999}, doubt(Cause.PROTOCOL), messages=1
    ),
    "endless line at MAIL": Row({"MAIL": b"2" * 9999}, broke(Stage.MAIL, Cause.PROTOCOL)),
    "250 to DATA": Row({"DATA": b"250 ok\r\n"}, broke(Stage.DATA, Cause.PROTOCOL)),
    "354 to MAIL": Row({"MAIL": b"354 go\r\n"}, broke(Stage.MAIL, Cause.PROTOCOL)),
    "354 to the dot": Row({"DOT": b"354 go\r\n"}, doubt(Cause.PROTOCOL), messages=1),
    "two replies to RCPT": Row({"RCPT": b"250 a\r\n250 b\r\n"}, broke(Stage.DATA, Cause.PROTOCOL)),
    "the dot answered before it was sent": Row(
        {"DATA": b"354 go\r\n250 queued\r\n"}, broke(Stage.BODY, Cause.PROTOCOL)
    ),
    "bytes after the 354": Row({"DATA": b"354 go\r\n25"}, broke(Stage.BODY, Cause.PROTOCOL)),
    "RCPT answered before it was sent": Row(
        {"EHLO": PLAIN, "MAIL": b"250 a\r\n250 b\r\n"}, broke(Stage.RCPT, Cause.PROTOCOL)
    ),
    "two replies to the dot": Row({"DOT": b"250 a\r\n550 b\r\n"}, YES, messages=1),
    "bytes after the last reply": Row({"DOT": b"250 a\r\n2"}, YES, messages=1),
    "MAIL no, RCPT yes, 354": Row({"MAIL": b"550 no\r\n"}, no(Stage.MAIL, 550)),
    "RSET refused": Row(
        {"DOT 1": b"550 no\r\n", "RSET": b"500 what\r\n"},
        no(Stage.BODY, 550),
        usable=True,
        then=broke(Stage.MAIL, Cause.PROTOCOL),
        messages=1,
    ),
    "RSET 421": Row(
        {"DOT 1": b"550 no\r\n", "RSET": (b"421 bye\r\n", Do.CLOSE)},
        no(Stage.BODY, 550),
        usable=True,
        then=no(Stage.MAIL, 421),
        messages=1,
    ),
}


@LOOPS
@pytest.mark.parametrize("name", ROWS)
def test_transactions(loop: str, name: str) -> None:
    row = ROWS[name]

    async def main() -> None:
        async with Peer(row.script) as peer:
            session = await opened(peer, deadlines=row.deadlines, chunking=row.chunking)
            got = shape(await send(session))
            if row.expected == ("doubt or reset",):
                # Whether the content was handed over before the close was seen is the network's.
                assert got[0] in {"doubt", "broke"}
            else:
                assert got == row.expected
            assert session.outcome is not None
            assert session.usable is row.usable
            if row.then is not None:
                assert shape(await send(session)) == row.then
            await session.close()
            assert not session.usable
            assert len(peer.messages) == row.messages
            for message in peer.messages:
                assert message in {CONTENT, b""}  # a lone dot sends nothing

    on(loop, main)


def test_there_are_enough_misbehaviours() -> None:
    assert len(ROWS) + len(OPENING) >= 80
