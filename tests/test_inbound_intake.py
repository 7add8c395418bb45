"""The intake of returned mail: what counts, once, for whom; and what never does."""

import random
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ekiden.bounce.identifiers import Echo, Identifiers
from ekiden.bounce.verp import ALPHABET
from ekiden.inbound import meaning
from ekiden.inbound.intake import Outcome
from ekiden.queue.model import State
from ekiden.queue.queue import QueueOptions
from queue_world import NOW, claim_all, opened, settlement
from returned_mail import CLASSIFIER, DOMAIN, KEY, LIFETIME, Desk, complaint, desk, dsn

DAY = 86_400.0


async def test_a_hard_bounce_suppresses_once_and_is_in_the_history(tmp_path: Path) -> None:
    async with desk(tmp_path, ["Bob@example.com", "eve@example.com"]) as at:
        rcpt = at.identifiers.return_address(at.ids[0], NOW)
        taken = await at.intake.take(dsn("bob@example.com"), rcpt, NOW + 60)
        assert (taken.outcome, taken.suppressed) == (Outcome.HARD_BOUNCE, "hard_bounce")
        assert await at.suppressed() == [("bob@example.com", "hard_bounce")]
        again = await at.intake.take(dsn("bob@example.com", said="smtp; 550 other"), rcpt, NOW + 90)
        assert again.outcome is Outcome.DUPLICATE
        assert await at.counts() == {"hard_bounce": 1, "duplicate": 1}
        history = (await at.queue.deliveries_for("bob@example.com"))[0]
        assert history.delivery.state is State.DELIVERED  # the receiver did take it
        assert [one.attempt.outcome for one in history.attempts if one.attempt] == [
            "accepted",
            "reported",
        ]
        said = history.attempts[-1].attempt
        assert said is not None
        assert (said.klass, said.code, said.source) == ("bad_mailbox", 550, "192.0.2.1")


@pytest.mark.parametrize("where", ["rcpt", "rcpt in capitals", "to", "reference", "return path"])
async def test_any_signed_identifier_is_enough(tmp_path: Path, where: str) -> None:
    async with desk(tmp_path, ["bob@example.com"]) as at:
        address = at.identifiers.return_address(at.ids[0], NOW)
        reference = at.identifiers.reference(at.ids[0], NOW)
        rcpt = {"rcpt": address, "rcpt in capitals": address.upper()}.get(where, "")
        raw = dsn(
            "bob@example.com",
            to=address if where == "to" else "",
            reference=reference.upper() if where == "reference" else "",
            return_path=address if where == "return path" else "",
        )
        assert (await at.intake.take(raw, rcpt, NOW)).outcome is Outcome.HARD_BOUNCE


async def test_a_complaint_suppresses_and_redaction_is_understood(tmp_path: Path) -> None:
    people = ["a@example.com", "b@example.com", "c@example.com", "d@example.com"]
    async with desk(tmp_path, people) as at:
        named = ["a@example.com", "redacted@example.com", "", "0123456789abcdef01@example.com"]
        for number, name in enumerate(named):
            mark = at.identifiers.reference(at.ids[number], NOW)
            raw = complaint(people[number], reference=mark, named=name)
            taken = await at.intake.take(raw, f"fbl@{DOMAIN}", NOW)
            assert taken.outcome is Outcome.COMPLAINT, name
        assert await at.suppressed() == [(one, "complaint") for one in people]


async def test_what_is_no_complaint_changes_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path, ["a@example.com"]) as at:
        mark = at.identifiers.reference(at.ids[0], NOW)
        for kind, outcome in (("not-spam", "delivered"), ("auth-failure", "other_bounce")):
            raw = complaint("a@example.com", reference=mark, feedback_type=kind)
            assert (await at.intake.take(raw, "", NOW)).outcome == outcome
        assert await at.suppressed() == []


async def test_soft_bounces_add_up_although_each_delivery_was_accepted(tmp_path: Path) -> None:
    options = QueueOptions(soft_bounces=3, soft_bounce_days=2)
    async with desk(tmp_path, ["a@example.com"], options) as at:
        for day in range(3):
            if day:
                await opened(at.queue, "a@example.com", uid=f"job {day}")
                claimed = await claim_all(at.queue, NOW + day * DAY)
                await at.queue.settle(
                    [settlement(one, State.DELIVERED) for one in claimed], NOW + day * DAY
                )
                at.ids = [one.id for one in claimed]
            full = "smtp; 552 5.2.2 <{}>: mailbox is full"
            raw = dsn("a@example.com", status="5.2.2", said=full)
            rcpt = at.identifiers.return_address(at.ids[0], NOW + day * DAY)
            taken = await at.intake.take(raw, rcpt, NOW + day * DAY)
            assert taken.outcome is Outcome.SOFT_BOUNCE
            assert taken.suppressed == ("soft_bounces" if day == 2 else "")


async def test_a_temporary_status_never_suppresses_at_once(tmp_path: Path) -> None:
    async with desk(tmp_path, ["a@example.com"]) as at:
        rcpt = at.identifiers.return_address(at.ids[0], NOW)
        raw = dsn("a@example.com", status="4.1.1", said="smtp; 450 4.1.1 <{}>: User unknown")
        assert (await at.intake.take(raw, rcpt, NOW)).outcome is Outcome.SOFT_BOUNCE
        assert await at.suppressed() == []


async def test_a_report_about_a_deleted_delivery_is_unknown(tmp_path: Path) -> None:
    async with desk(tmp_path, ["a@example.com"]) as at:
        for number in (10**6, 0, (1 << 63) - 1):
            rcpt = at.identifiers.return_address(number, NOW)
            assert (await at.intake.take(dsn("a@example.com"), rcpt, NOW)).outcome == "unknown"
        assert await at.suppressed() == []


async def test_reports_are_forgotten_when_their_identifier_has_long_expired(tmp_path: Path) -> None:
    async with desk(tmp_path, ["a@example.com"]) as at:
        rcpt = at.identifiers.return_address(at.ids[0], NOW)
        await at.intake.take(dsn("a@example.com"), rcpt, NOW)
        assert await at.queue.forget_reports(NOW + LIFETIME) == 0
        late = NOW + LIFETIME + 40 * DAY
        assert await at.queue.forget_reports(late) == 2, "and what was told of it"
        assert (await at.intake.take(dsn("a@example.com"), rcpt, late)).outcome == "expired"


def mutated(token: str, dice: random.Random) -> str:
    """A token with one to three characters changed, lost or added."""
    chars = list(token)
    for _ in range(dice.randint(1, 3)):
        place = dice.randrange(2, len(chars))  # behind the prefix
        match dice.randrange(4):
            case 0:
                del chars[place]
            case 1:
                chars.insert(place, dice.choice(ALPHABET))
            case _:
                chars[place] = dice.choice([one for one in ALPHABET if one != chars[place]])
    return "".join(chars)


def hostile(at: Desk, people: list[str], number: int, dice: random.Random) -> tuple[bytes, str]:
    """A report that must change nothing, and the address it comes to."""
    who = dice.randrange(len(people))
    other = (who + dice.randrange(1, len(people))) % len(people)
    stranger = Identifiers([dice.randbytes(32)], DOMAIN, LIFETIME)
    address = at.identifiers.return_address(at.ids[who], NOW)
    mark = at.identifiers.reference(at.ids[who], NOW)
    local = address.partition("@")[0]
    victim = people[who]
    make = complaint if dice.random() < 0.3 else dsn
    match number % 10:
        case 0:  # another key
            return make(victim, reference=stranger.reference(at.ids[who], NOW)), ""
        case 1:
            return dsn(victim), stranger.return_address(at.ids[who], NOW)
        case 2:  # a changed token
            return dsn(victim), f"{mutated(local, dice)}@{DOMAIN}"
        case 3:
            return make(victim, reference=mutated(mark, dice)), ""
        case 4:  # too old
            old = at.identifiers.return_address(at.ids[who], NOW - LIFETIME - 2 * DAY)
            return dsn(victim), old
        case 5:
            old = at.identifiers.reference(at.ids[who], NOW - LIFETIME - 2 * DAY)
            return make(victim, reference=old), ""
        case 6:  # mine, about you
            return dsn(people[other]), address
        case 7:
            return make(people[other], reference=mark), ""
        case 8:  # two that do not belong together
            return dsn(victim, reference=at.identifiers.reference(at.ids[other], NOW)), address
        case _:  # one kind in the other's place, or none at all
            tokens = (f"{mark}@{DOMAIN}", f"{local}@other.example", "", f"b-@{DOMAIN}", victim)
            return dsn(victim, reference=dice.choice(["", local])), dice.choice(tokens)


async def test_ten_thousand_forged_reports_suppress_nobody(tmp_path: Path) -> None:
    dice = random.Random(5)
    people = [f"user{n}@d{n % 7}.example" for n in range(40)]
    outcomes: Counter[str] = Counter()
    async with desk(tmp_path, people) as at:
        # Verified as the intake does, without a write of the count for each: 10,000 syncs.
        for number in range(10_000):
            raw, rcpt = hostile(at, people, number, dice)
            returned = meaning.read(raw, rcpt, CLASSIFIER)
            taken = await at.intake._judge(returned, bytes(32), NOW)
            outcomes[taken.outcome] += 1
            assert not taken.suppressed, (number, rcpt, raw.decode())
        assert await at.suppressed() == []
        for one in people:
            assert await at.suppressions.soft_bounces(one) is None
        assert await at.queue.reputations() == []
    assert set(outcomes) <= {"forged", "expired", "swapped", "unsigned"}, outcomes
    assert min(outcomes[one] for one in ("forged", "expired", "swapped", "unsigned")) >= 500


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=3000), st.text(max_size=120))
def test_any_bytes_are_read(raw: bytes, rcpt: str) -> None:
    returned = meaning.read(raw, rcpt, CLASSIFIER)
    identifiers = Identifiers([KEY], DOMAIN, LIFETIME)
    assert isinstance(identifiers.verify(returned.echo, NOW), str)  # a Doubt


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([dsn("a@example.com", reference="r-x"), complaint("a@example.com")]),
    st.lists(st.tuples(st.integers(0, 3000), st.binary(max_size=8)), max_size=12),
)
def test_any_damage_to_a_report_is_read(raw: bytes, changes: list[tuple[int, bytes]]) -> None:
    for place, new in changes:
        raw = raw[:place] + new + raw[place + len(new) :]
    returned = meaning.read(raw, "", CLASSIFIER)
    for one in returned.report.recipients:
        meaning.kind_of(one)
    meaning.about(returned.report, "a@example.com")


def test_what_returns_is_found_in_any_header_that_servers_write() -> None:
    for name in ("Delivered-To", "X-Original-To", "Envelope-To", "To", "Cc"):
        raw = f"{name}: x <b-abc@{DOMAIN}>\nSubject: y\n\nz".encode()
        assert meaning.read(raw, "", CLASSIFIER).echo == Echo((f"b-abc@{DOMAIN}",))


async def test_automatic_replies_and_delays_are_only_counted(tmp_path: Path) -> None:
    away = (
        b"From: Bob <bob@example.com>\r\nSubject: Out of office\r\n"
        b"Auto-Submitted: auto-replied\r\n\r\nI am away until Monday.\r\n"
    )
    async with desk(tmp_path, ["bob@example.com"]) as at:
        rcpt = at.identifiers.return_address(at.ids[0], NOW)
        late = dsn("bob@example.com", status="4.4.1", said="smtp; 451 4.4.1 try again")
        late = late.replace(b"Action: failed", b"Action: delayed")
        assert (await at.intake.take(away, rcpt, NOW)).outcome is Outcome.AUTOREPLY
        assert (await at.intake.take(late, rcpt, NOW)).outcome is Outcome.DELAY
        plain = b"From: bob@example.com\r\nSubject: thanks\r\n\r\nThank you!\r\n"
        assert (await at.intake.take(plain, rcpt, NOW)).outcome is Outcome.NO_REPORT
        assert await at.counts() == {"autoreply": 1, "delay": 1, "no_report": 1}
        assert [one.outcome for one in at.heard] == ["autoreply", "delay", "no_report"]


def test_every_outcome_is_on_its_page() -> None:
    page = (Path(__file__).parent.parent / "docs" / "inbound.md").read_text(encoding="utf-8")
    told = re.findall(r"`(\w+)`", page.partition("| outcome |")[2].partition("\n\n")[0])
    assert [one for one in told if one in set(Outcome)] == [str(one) for one in Outcome]


def test_references_fit_a_header_line() -> None:
    made = Identifiers([KEY], DOMAIN, LIFETIME).reference((1 << 63) - 1, NOW)
    assert re.fullmatch(r"r-[a-z0-9]{44}", made)
