"""The transaction as a state machine: dialogues in, bytes and one outcome out."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden import limits
from ekiden.smtp.content import UnsendableError, checked, stuffed
from ekiden.smtp.ehlo import Extensions
from ekiden.smtp.envelope import Envelope, path
from ekiden.smtp.outcome import Accepted, Broke, Cause, Outcome, Rejected, Stage
from ekiden.smtp.reply import Reply
from ekiden.smtp.transaction import Transaction, begin

ENVELOPE = Envelope("bounce@example.com", "someone@example.net")
CONTENT = b"Subject: hi\r\n\r\n.leading\r\nbody\r\n"
PIPELINING = Extensions(pipelining=True, eight_bit_mime=True)
CHUNKING = Extensions(pipelining=True, chunking=True)
PLAIN = Extensions()


def started(
    extensions: Extensions, *, reset: bool = False, chunking: bool = True
) -> tuple[Transaction, bytes]:
    transaction = begin(extensions, ENVELOPE, CONTENT, reset=reset, chunking=chunking)
    assert isinstance(transaction, Transaction)
    return transaction, transaction.start()


@dataclass
class Talk:
    """What was written after each reply."""

    written: list[bytes]
    transaction: Transaction


def talk(extensions: Extensions, *codes: int, reset: bool = False) -> Talk:
    transaction, first = started(extensions, reset=reset)
    written = [first]
    if transaction.content_due:
        transaction.content_sent()
    for code in codes:
        written.append(transaction.receive(Reply(code, str(code))))
        if transaction.content_due:
            transaction.content_sent()
    return Talk(written, transaction)


MAIL = b"MAIL FROM:<bounce@example.com>\r\n"
RCPT = b"RCPT TO:<someone@example.net>\r\n"
STUFFED = b"Subject: hi\r\n\r\n..leading\r\nbody\r\n.\r\n"


def test_pipelined_dialogue_is_two_writes() -> None:
    said = talk(PIPELINING, 250, 250, 354, 250)
    assert said.written == [MAIL + RCPT + b"DATA\r\n", b"", b"", STUFFED, b""]
    assert said.transaction.outcome == Accepted(Reply(250, "250"))
    assert said.transaction.finished
    assert not said.transaction.reset_due
    assert not said.transaction.session_over


def test_plain_dialogue_waits_for_each_reply() -> None:
    said = talk(PLAIN, 250, 250, 354, 250)
    assert said.written == [MAIL, RCPT, b"DATA\r\n", STUFFED, b""]
    assert isinstance(said.transaction.outcome, Accepted)


def test_bdat_dialogue_is_one_write_without_stuffing() -> None:
    said = talk(CHUNKING, 250, 250, 250)
    bdat = b"BDAT %d LAST\r\n" % len(CONTENT)
    assert said.written == [MAIL + RCPT + bdat + CONTENT, b"", b"", b""]
    assert isinstance(said.transaction.outcome, Accepted)


def test_bdat_only_where_all_of_it_is_offered_wanted_and_small() -> None:
    big = b"x" * 70 + b"\r\n"
    big *= limits.BDAT_PIPELINED_BYTES // len(big) + 1
    for extensions, content, chunking in (
        (PIPELINING, CONTENT, True),
        (CHUNKING, CONTENT, False),
        (CHUNKING, big, True),
    ):
        transaction = begin(extensions, ENVELOPE, content, chunking=chunking)
        assert isinstance(transaction, Transaction)
        assert transaction.start().endswith(b"DATA\r\n")


@pytest.mark.parametrize("extensions", [PIPELINING, PLAIN, CHUNKING])
def test_reset_comes_first_when_due(extensions: Extensions) -> None:
    said = talk(extensions, 250, 250, 250, reset=True)
    assert b"".join(said.written).startswith(b"RSET\r\nMAIL FROM")
    assert said.transaction.outcome is None


NEXT = "another transaction may follow"
RSET = "another transaction may follow, after RSET"
OVER = "the session is over"
DOT = "a lone dot was written"


def yes(code: int) -> Outcome:
    return Accepted(Reply(code, str(code)))


def no(stage: Stage, code: int) -> Outcome:
    return Rejected(stage, Reply(code, str(code)))


def broke(stage: Stage, code: int) -> Outcome:
    return Broke(stage, Cause.PROTOCOL, f"{stage.value.upper()} was answered {code}")


def doubt(what: str, code: int) -> Outcome:
    return Broke(Stage.BODY, Cause.PROTOCOL, f"{what} was answered {code}", in_doubt=True)


# Codes in the order of the commands -> the outcome, and how things stand after the last of them.
TABLE: list[tuple[str, Extensions, tuple[int, ...], Outcome, str]] = [
    # pipelined
    ("mail 4xx", PIPELINING, (451, 503, 503), no(Stage.MAIL, 451), RSET),
    ("mail 5xx", PIPELINING, (550, 503, 554), no(Stage.MAIL, 550), RSET),
    ("rcpt 4xx", PIPELINING, (250, 450, 554), no(Stage.RCPT, 450), RSET),
    ("rcpt 5xx", PIPELINING, (250, 550, 503), no(Stage.RCPT, 550), RSET),
    ("rcpt 552", PIPELINING, (250, 552, 503), no(Stage.RCPT, 552), RSET),
    ("rcpt 551 taken as no", PIPELINING, (250, 551, 503), no(Stage.RCPT, 551), RSET),
    ("rcpt 251 is yes", PIPELINING, (250, 251, 354, 250), yes(250), NEXT),
    ("rcpt 252 is yes", PIPELINING, (250, 252, 354, 299), yes(299), NEXT),
    ("data 4xx", PIPELINING, (250, 250, 451), no(Stage.DATA, 451), RSET),
    ("data 5xx", PIPELINING, (250, 250, 554), no(Stage.DATA, 554), RSET),
    ("data 2xx", PIPELINING, (250, 250, 250), broke(Stage.DATA, 250), OVER),
    ("dot 4xx", PIPELINING, (250, 250, 354, 451), no(Stage.BODY, 451), RSET),
    ("dot 5xx", PIPELINING, (250, 250, 354, 554), no(Stage.BODY, 554), RSET),
    ("dot 3xx", PIPELINING, (250, 250, 354, 354), doubt("the content", 354), OVER),
    ("mail 3xx", PIPELINING, (354,), broke(Stage.MAIL, 354), OVER),
    ("rcpt 3xx", PIPELINING, (250, 354), broke(Stage.RCPT, 354), OVER),
    # RFC 2920 section 3.1: 354 without a recipient
    ("rcpt no, 354", PIPELINING, (250, 550, 354), no(Stage.RCPT, 550), DOT),
    ("rcpt no, 354, 554", PIPELINING, (250, 550, 354, 554), no(Stage.RCPT, 550), RSET),
    ("rcpt no, 354, 250", PIPELINING, (250, 550, 354, 250), no(Stage.RCPT, 550), RSET),
    ("rcpt no, data 2xx", PIPELINING, (250, 550, 250), no(Stage.RCPT, 550), OVER),
    ("mail no, rcpt no, 354", PIPELINING, (550, 503, 354), no(Stage.MAIL, 550), DOT),
    ("mail no, rcpt yes, 354", PIPELINING, (550, 250, 354), no(Stage.MAIL, 550), OVER),
    # 421 at any time
    ("421 at mail", PIPELINING, (421,), no(Stage.MAIL, 421), OVER),
    ("421 at rcpt", PIPELINING, (250, 421), no(Stage.RCPT, 421), OVER),
    ("421 at data", PIPELINING, (250, 250, 421), no(Stage.DATA, 421), OVER),
    ("421 at dot", PIPELINING, (250, 250, 354, 421), no(Stage.BODY, 421), OVER),
    ("421 after rcpt no", PIPELINING, (250, 550, 421), no(Stage.RCPT, 550), OVER),
    # one command at a time
    ("plain mail no", PLAIN, (550,), no(Stage.MAIL, 550), RSET),
    ("plain rcpt no", PLAIN, (250, 550), no(Stage.RCPT, 550), RSET),
    ("plain data no", PLAIN, (250, 250, 451), no(Stage.DATA, 451), RSET),
    ("plain dot no", PLAIN, (250, 250, 354, 552), no(Stage.BODY, 552), RSET),
    # BDAT
    ("bdat no", CHUNKING, (250, 250, 554), no(Stage.BODY, 554), RSET),
    ("bdat 3xx", CHUNKING, (250, 250, 354), doubt("the content", 354), OVER),
    ("bdat rcpt no", CHUNKING, (250, 550, 503), no(Stage.RCPT, 550), RSET),
    ("bdat rcpt no, content yes", CHUNKING, (250, 550, 250), no(Stage.RCPT, 550), RSET),
    ("bdat mail no, rest yes", CHUNKING, (550, 250, 250), doubt("the content", 250), OVER),
    ("bdat mail 3xx", CHUNKING, (354,), doubt("MAIL", 354), OVER),
    ("bdat 421", CHUNKING, (421,), no(Stage.MAIL, 421), OVER),
]  # fmt: skip


@pytest.mark.parametrize(
    ("extensions", "codes", "outcome", "end"),
    [row[1:] for row in TABLE],
    ids=[row[0] for row in TABLE],
)
def test_dialogues(
    extensions: Extensions, codes: tuple[int, ...], outcome: Outcome, end: str
) -> None:
    said = talk(extensions, *codes)
    assert said.transaction.outcome == outcome
    assert said.written[-1] == (b".\r\n" if end is DOT else b"")
    assert said.transaction.finished is (end is not DOT)
    assert said.transaction.session_over is (end is OVER)
    if end is not OVER:
        assert said.transaction.reset_due is (end is not NEXT)


@pytest.mark.parametrize("extensions", [PIPELINING, PLAIN, CHUNKING])
def test_a_refused_rset_ends_the_session_before_the_content(extensions: Extensions) -> None:
    said = talk(extensions, 500, reset=True)
    outcome = said.transaction.outcome
    assert isinstance(outcome, Broke)
    assert outcome.cause is Cause.PROTOCOL
    assert outcome.in_doubt is (extensions is CHUNKING)  # its content was already on the way
    assert said.transaction.session_over


STAGES = [Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.BODY]


@pytest.mark.parametrize("extensions", [PIPELINING, PLAIN])
@pytest.mark.parametrize("answered", range(4))
def test_lost_is_in_doubt_only_after_the_dot(extensions: Extensions, answered: int) -> None:
    said = talk(extensions, *(250, 250, 354)[:answered])
    outcome = said.transaction.lost(Cause.RESET, "reset")
    assert outcome == Broke(STAGES[answered], Cause.RESET, "reset", in_doubt=answered == 3)


def test_lost_before_the_last_portion_was_handed_over_is_no_doubt() -> None:
    transaction, _ = started(PIPELINING)
    for code in (250, 250, 354):
        transaction.receive(Reply(code, ""))
    assert transaction.content_due
    assert transaction.lost(Cause.RESET, "") == Broke(Stage.BODY, Cause.RESET)


@pytest.mark.parametrize("answered", range(3))
def test_lost_with_bdat_is_in_doubt_from_the_start(answered: int) -> None:
    said = talk(CHUNKING, *(250, 250)[:answered])
    outcome = said.transaction.lost(Cause.TIMED_OUT, "")
    assert outcome == Broke(Stage.BODY, Cause.TIMED_OUT, in_doubt=True)


def test_a_settled_outcome_survives_what_comes_after() -> None:
    said = talk(PIPELINING, 250, 550)
    assert said.transaction.lost(Cause.RESET, "") == Rejected(Stage.RCPT, Reply(550, "550"))
    assert said.transaction.session_over


def test_an_early_refusal_of_the_content_is_a_rejection_and_the_end() -> None:
    transaction, _ = started(PIPELINING)
    for code in (250, 250, 354):
        transaction.receive(Reply(code, ""))
    assert transaction.receive(Reply(552, "too big")) == b""
    assert transaction.outcome == Rejected(Stage.BODY, Reply(552, "too big"))
    assert transaction.session_over


def test_an_early_yes_to_the_content_is_a_violation() -> None:
    transaction, _ = started(PIPELINING)
    for code in (250, 250, 354, 250):
        transaction.receive(Reply(code, ""))
    detail = "the content was answered before its end"
    assert transaction.outcome == Broke(Stage.BODY, Cause.PROTOCOL, detail)


@given(
    st.sampled_from([PIPELINING, PLAIN, CHUNKING]),
    st.lists(st.integers(200, 599), max_size=8),
    st.booleans(),
)
def test_any_dialogue_ends_well(extensions: Extensions, codes: list[int], reset: bool) -> None:
    """Accepted only for a 2xx to the content; nothing but a lone dot after a refusal."""
    transaction, first = started(extensions, reset=reset)
    written = [first]
    if transaction.content_due:
        transaction.content_sent()
    last = 0
    for code in codes:
        if transaction.finished:
            break
        last = code
        written.append(transaction.receive(Reply(code, "")))
        if transaction.content_due:
            transaction.content_sent()
    outcome = transaction.outcome or transaction.lost(Cause.CLOSED, "")
    if isinstance(outcome, Accepted):
        assert last // 100 == 2
        assert CONTENT in b"".join(written) or STUFFED in b"".join(written)
    if isinstance(outcome, Broke) and not outcome.in_doubt:
        assert STUFFED not in b"".join(written)


# --- what may not be sent -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"a\nb\r\n",
        b"a\rb\r\n",
        b"a\r\r\n",
        b"a\r\n\nb\r\n",
        b"a\r\n.\n",
        b"a\n.\r\nMAIL FROM:<x>\r\n",
        b"a\r\n\r.\r\n",
        b"a\r",
        b"a\n",
        b"a\0b\r\n",
    ],
)
def test_smuggling_is_refused(content: bytes) -> None:
    for message in (content, [content[:2], content[2:]]):
        outcome = begin(PIPELINING, ENVELOPE, message)
        assert isinstance(outcome, Broke)
        assert outcome.cause is Cause.LOCAL


@given(
    st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"a", b"\x85", b"\x0b"]), max_size=12)
)
def test_the_newline_check_is_exact(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    bare = content.replace(b"\r\n", b"")
    if b"\r" in bare or b"\n" in bare:
        with pytest.raises(UnsendableError):
            checked(content)
    else:
        assert checked(pieces) == content + (b"" if content.endswith(b"\r\n") else b"\r\n")


@given(st.lists(st.sampled_from([b"\r\n", b".", b"..", b"a"]), max_size=12))
def test_stuffing_is_undone_by_a_receiver(pieces: list[bytes]) -> None:
    content = checked(b"".join(pieces))
    wire = stuffed(content)
    lines = wire.split(b"\r\n")
    end = lines.index(b".")
    assert lines[end + 1 :] == [b""]
    received = b"".join(
        (line[1:] if line.startswith(b".") else line) + b"\r\n" for line in lines[:end]
    )
    assert received == content


@pytest.mark.parametrize(
    ("address", "fine"),
    [
        ("a@b.test", True),
        ("a+b=c/d@b.test", True),
        ('"a b"@b.test', True),
        ('"a\\"b>"@b.test', True),
        ("ü@b.test", True),
        ("a@b.test> SIZE=1", False),
        ("a b@c.test", False),
        ("<a@b.test>", False),
        ("a@b.test\r\nRCPT TO:<c@d.test>", False),
        ('"a\r\nb"@c.test', False),
        ("a\0@b.test", False),
        ("a@b@c.test", False),
        ("no-at", False),
        ("", False),
        ("a\x85b c@d.test", False),
        ("a" * 250 + "@b.test", False),
    ],
)
def test_addresses_cannot_break_out_of_the_command(address: str, fine: bool) -> None:
    if fine:
        assert path(address) == address.encode()
    else:
        with pytest.raises(UnsendableError):
            path(address)


# --- what the receiver must offer -----------------------------------------------------------------

FULL = Extensions(pipelining=True, size=1000, eight_bit_mime=True, smtputf8=True)


@pytest.mark.parametrize(
    ("extensions", "envelope", "content", "parameters"),
    [
        (PLAIN, ENVELOPE, b"a\r\n", b""),
        (FULL, ENVELOPE, b"a\r\n", b" SIZE=3"),
        (FULL, ENVELOPE, "é\r\n".encode(), b" SIZE=4 BODY=8BITMIME"),
        (FULL, Envelope("", "a@b.test", eight_bit=True), b"a\r\n", b" SIZE=3 BODY=8BITMIME"),
        (FULL, Envelope("", "é@b.test"), b"a\r\n", b" SIZE=3 SMTPUTF8"),
        (FULL, Envelope("", "a@b.test", smtputf8=True, size=9), b"a\r\n", b" SIZE=9 SMTPUTF8"),
        (Extensions(size=0), ENVELOPE, b"a\r\n" * 999, b" SIZE=2997"),
    ],
)
def test_mail_parameters(
    extensions: Extensions, envelope: Envelope, content: bytes, parameters: bytes
) -> None:
    transaction = begin(extensions, envelope, content)
    assert isinstance(transaction, Transaction)
    mail = b"MAIL FROM:<%b>%b\r\n" % (envelope.mail_from.encode(), parameters)
    assert transaction.start().startswith(mail)


@pytest.mark.parametrize(
    ("extensions", "envelope", "content", "word"),
    [
        (PLAIN, Envelope("", "é@b.test"), b"a\r\n", "SMTPUTF8"),
        (PLAIN, Envelope("é@b.test", "a@b.test"), b"a\r\n", "SMTPUTF8"),
        (PLAIN, Envelope("", "a@b.test", smtputf8=True), b"a\r\n", "SMTPUTF8"),
        (PLAIN, ENVELOPE, b"\xe9\r\n", "8BITMIME"),
        (PLAIN, Envelope("", "a@b.test", eight_bit=True), b"a\r\n", "8BITMIME"),
        (FULL, ENVELOPE, b"a" * 1000 + b"\r\n", "takes 1000"),
        (FULL, Envelope("", "a@b.test", size=1001), b"a\r\n", "takes 1000"),
    ],
)
def test_what_the_receiver_lacks_is_told_before_sending(
    extensions: Extensions, envelope: Envelope, content: bytes, word: str
) -> None:
    outcome = begin(extensions, envelope, content)
    assert isinstance(outcome, Broke)
    assert (outcome.stage, outcome.cause) == (Stage.MAIL, Cause.UNSUPPORTED)
    assert word in outcome.detail
