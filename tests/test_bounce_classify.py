"""Classification: stages, lists, waits, languages, encodings; and nothing it cannot read."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ekiden.bounce import ruleset
from ekiden.bounce.classes import CLASSES
from ekiden.bounce.classify import Action, Classifier, ReplyContext, Verdict, stage_of
from ekiden.bounce.reading import TEXT_CAP, read
from ekiden.smtp.outcome import Stage
from ekiden.text import printable

CLASSIFIER = Classifier.load()


def ask(reply: str, **context: object) -> Verdict:
    return CLASSIFIER.classify(ReplyContext(reply, **context))  # type: ignore[arg-type]  # shorthand


DOCOMO = "550 Unknown user a@docomo.ne.jp"
SOFTBANK = "550 Invalid recipient: <a@softbank.ne.jp>"
VS98 = "553 Mail from 198.51.100.7 not allowed - VS98-IP0 deferred"
TSS04 = "421 4.7.0 [TSS04] Messages from 198.51.100.7 temporarily deferred"

# --- Stages -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "mx", "stage", "action"),
    [
        (DOCOMO, "mfsmax.docomo.ne.jp", Stage.RCPT, "suppress_recipient"),
        (DOCOMO, "mfsmax.docomo.ne.jp", Stage.DATA, "other"),
        (DOCOMO, "mfsmax.docomo.ne.jp", Stage.BODY, "other"),
        (DOCOMO, "mfsmax.docomo.ne.jp", None, "other"),
        ("550 <a@au.com>: User unknown", "msmx.au.com", Stage.RCPT, "suppress_recipient"),
        ("550 : User unknown", "lsean.ezweb.ne.jp", Stage.BODY, "other"),
        ("550 : User unknown", "lsean.ezweb.ne.jp", None, "other"),
        ("550 <a@au.com>: User unknown", "msmx.au.com", Stage.BODY, "other"),
        ("552 Too much mail data", "mfsmax.docomo.ne.jp", Stage.RCPT, "mailbox_full_retry"),
        ("552 Too many recipients", "mfsmax.docomo.ne.jp", Stage.RCPT, "throttle_destination"),
        ("500 Line Too Long", "mfsmax.docomo.ne.jp", Stage.BODY, "fix_sender"),
        ("554 <a@au.com>: Relay access denied", "msmx.au.com", Stage.RCPT, "suppress_recipient"),
        (SOFTBANK, "mx.softbank.ne.jp", Stage.RCPT, "suppress_recipient"),
        (SOFTBANK, "mx.softbank.ne.jp", Stage.BODY, "other"),
        ("553 news.example.com does not exist", "mx.softbank.ne.jp", Stage.MAIL, "fix_sender"),
        ("553 news.example.com does not exist", "mx1.jcom.zaq.ne.jp", Stage.MAIL, "fix_sender"),
        ("553 news.example.com does not exist", "mx.softbank.ne.jp", None, "fix_sender"),
        ("550 User not found", "mx1.gslb.rmb-ss.jp", Stage.RCPT, "suppress_recipient"),
        (VS98, "mx1.mail.yahoo.co.jp", Stage.MAIL, "blocked_reputation"),
        (TSS04, "mx1.mail.yahoo.co.jp", Stage.CONNECT, "throttle_destination"),
    ],
)  # fmt: skip
def test_the_japanese_carriers_are_decided_by_stage(
    reply: str, mx: str, stage: Stage | None, action: str
) -> None:
    assert ask(reply, mx=mx, stage=stage).action == action


def test_the_destination_tells_the_provider_where_the_host_does_not() -> None:
    verdict = ask("550 Unknown user", destination="docomo.ne.jp", stage=Stage.BODY)
    assert (verdict.provider, verdict.action) == ("docomo", Action.OTHER)


def test_the_stage_is_read_out_of_a_mailers_words() -> None:
    text = "host mfsmax.docomo.ne.jp[203.0.113.9] said: 550 Unknown user (in reply to {} command)"
    mx = "mfsmax.docomo.ne.jp"
    assert ask(text.format("RCPT TO"), mx=mx).action is Action.SUPPRESS_RECIPIENT
    assert ask(text.format("end of DATA"), mx=mx).action is Action.OTHER


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("rcpt", Stage.RCPT),
        ("RCPT TO", Stage.RCPT),
        ("end of DATA", Stage.BODY),
        ("DATA", Stage.DATA),
        ("MAIL FROM", Stage.MAIL),
        ("", None),
        ("nonsense", None),
    ],
)
def test_stage_names(name: str, stage: Stage | None) -> None:
    assert stage_of(name) is stage


# --- Codes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "klass", "action"),
    [
        ("", "unknown", Action.OTHER),
        ("qwertz", "unknown", Action.OTHER),
        ("250 ok", "delivered", Action.OTHER),
        ("450 qwertz", "unknown", Action.RETRY_LATER),
        ("550 qwertz", "unknown", Action.OTHER),
        ("550 5.1.1 qwertz", "bad_mailbox", Action.SUPPRESS_RECIPIENT),
        ("450 4.1.1 qwertz", "unknown", Action.RETRY_LATER),
        ("550 5.7.1 qwertz", "policy", Action.FIX_SENDER),
        ("550 4.1.1 qwertz", "unknown", Action.OTHER),  # RFC 2034: the classes must agree
    ],
)
def test_without_words_the_codes_decide(reply: str, klass: str, action: Action) -> None:
    verdict = ask(reply)
    assert (verdict.klass, verdict.action) == (klass, action)


def test_a_code_that_is_given_needs_no_code_in_the_text() -> None:
    verdict = ask("5.2.2 qwertz", code=552)
    assert verdict.klass == "mailbox_full"
    assert ask("qwertz", code=552, enhanced="5.2.2").klass == "mailbox_full"


def test_policy_statuses_never_suppress() -> None:
    for detail in range(1000):
        if detail != 13:  # 5.7.13 is "user account disabled" (RFC 5248 registry)
            verdict = ask(f"550 5.7.{detail} qwertz")
            assert verdict.action is not Action.SUPPRESS_RECIPIENT


def test_lines_of_one_reply_are_one_text() -> None:
    said = "5.1.1 The email account that you tried\n5.1.1 to reach does not exist. Please try"
    assert ask(said, code=550).rule == "gmail.no_such_user"
    copied = "550-5.1.1 The email account that you tried to 550-5.1.1 reach does not exist."
    assert ask(copied).rule == "gmail.no_such_user"


# --- What is quoted is not what is said -----------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        "550 5.1.1 <spam.blocked@example.com>: User unknown",
        "550 5.1.1 User unknown at full.quota.blacklisted.example",
        "host mx.spamhaus-blocked.example[198.51.100.9] said: 550 5.1.1 User unknown",
        "550 5.1.1 User unknown; see https://help.example/antispam/blocked-by-policy",
    ],
)
def test_names_are_no_reasons(reply: str) -> None:
    assert ask(reply).klass == "bad_mailbox"


# --- Lists --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "name", "url"),
    [
        (
            "554 5.7.1 Client host [198.51.100.7] blocked using zen.spamhaus.org",
            "Spamhaus",
            "https://check.spamhaus.org/results/?query=198.51.100.7",
        ),
        (
            "550 Blocked, see http://www.spamcop.net/bl.shtml?198.51.100.7 [198.51.100.7]",
            "SpamCop",
            "https://www.spamcop.net/bl.shtml?198.51.100.7",
        ),
        (
            "554 host mx.example[203.0.113.9] said: 198.51.100.7 listed at b.barracudacentral.org",
            "Barracuda",
            "https://www.barracudacentral.org/rbl/removal-request?ip=198.51.100.7",
        ),
        (
            "550 198.51.100.7 is listed in dnsbl.sorbs.net",
            "SORBS",
            "http://www.sorbs.net/lookup.shtml?198.51.100.7",
        ),
        (
            "554 Blocked - see https://ipcheck.proofpoint.com/?ip=198.51.100.7",
            "Proofpoint",
            "https://ipcheck.proofpoint.com/?ip=198.51.100.7",
        ),
        (
            "550 198.51.100.7 listed on CSI, see https://csi.cloudmark.com/reset-request/",
            "Cloudmark",
            "https://csi.cloudmark.com/en/reset/?ip=198.51.100.7",
        ),
        (
            "550 198.51.100.7 blocked: http://www.mail-abuse.trendmicro.com/lookup",
            "Trend Micro",
            "https://servicecentral.trendmicro.com/en-us/ers/ip-lookup/?ip=198.51.100.7",
        ),
        (
            "550 Listed by Abusix 198.51.100.7",
            "Abusix",
            "https://lookup.abusix.com/search?q=198.51.100.7",
        ),
        (
            "550 198.51.100.7 is listed at dnsbl-1.uceprotect.net",
            "UCEPROTECT",
            "https://www.uceprotect.net/en/rblcheck.php?ipr=198.51.100.7",
        ),
        (
            "550 5.7.1 messages from [198.51.100.7] weren't sent: on our block list (S3140).",
            "Microsoft (Outlook.com)",
            "https://olcsupport.office.com/",
        ),
    ],
)
def test_a_blocklist_reply_names_list_address_and_removal_page(
    reply: str, name: str, url: str
) -> None:
    verdict = ask(reply)
    assert verdict.action is Action.BLOCKED_REPUTATION
    assert verdict.listing is not None
    assert (verdict.listing.name, verdict.listing.ip, verdict.listing.url) == (
        name,
        "198.51.100.7",
        url,
    )


def test_an_unknown_list_is_shown_as_the_reply_has_it() -> None:
    verdict = ask("554 2001:db8::7 is blacklisted, see https://bl.example.org/why?ip=2001:db8::7.")
    assert verdict.listing is not None
    assert verdict.listing.name == ""
    assert verdict.listing.ip == "2001:db8::7"
    assert verdict.listing.url == "https://bl.example.org/why?ip=2001:db8::7"


# --- Waits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        ("450 4.2.0 Greylisted, please try again in 300 seconds", 300.0),
        ("451 4.7.1 Greylisting in action, please come back in 00:05:00", 300.0),
        ("450 Graylisted, retry in 5 minutes", 300.0),
        ("421 4.7.0 Rate limited. Try again after 2 hours", 7200.0),
        ("451 please retry in 60s", 60.0),
        ("450 greylisted, erneut versuchen nach 10 Minuten, spater", 600.0),
        ("451 try again in 999999 days", 7 * 86_400.0),
        ("450 4.2.0 Greylisted, please try again later", None),
        ("450 4.4.1 Message could not be delivered for 4 hours", None),
        (TSS04, 7200.0),
        (VS98, 3600.0),
    ],
)
def test_what_it_asks_to_wait(reply: str, seconds: float | None) -> None:
    assert ask(reply).retry_after == seconds


# --- Encodings ----------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "shift_jis", "euc_jp", "iso2022_jp"])
def test_japanese_in_the_encodings_hosts_use(encoding: str) -> None:
    raw = "550 宛先のメールアドレスは存在しません".encode(encoding)
    assert ask(printable(raw)).klass == "bad_mailbox"


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_chinese_in_the_encodings_hosts_use(encoding: str) -> None:
    assert ask(printable("550 用户不存在，请检查".encode(encoding))).klass == "bad_mailbox"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_accents_do_not_matter(encoding: str) -> None:
    raw = "552 Boîte du destinataire pleine".encode(encoding)
    assert ask(printable(raw)).klass == "mailbox_full"
    assert ask("552 Boite du destinataire pleine").klass == "mailbox_full"


# --- Robustness -----------------------------------------------------------------------------------


@given(st.text(max_size=400), st.sampled_from([None, *Stage]), st.integers(0, 999))
@example("550 \\xff\\xfe\\x1b$B", None, 0)
@example("\x00" * 100, Stage.RCPT, 550)
def test_any_text_has_a_class(reply: str, stage: Stage | None, code: int) -> None:
    verdict = ask(reply, stage=stage, code=code)
    by_code = {Action.OTHER, Action.RETRY_LATER} if verdict.rule == "code" else set()
    assert verdict.action in {CLASSES[verdict.klass].action, *by_code}
    if verdict.action is Action.SUPPRESS_RECIPIENT:
        assert stage not in {Stage.CONNECT, Stage.EHLO, Stage.MAIL}


@given(st.binary(max_size=400))
def test_any_bytes_can_be_read(raw: bytes) -> None:
    reading = read(printable(raw))
    assert reading.text.startswith(" ")
    assert ask(printable(raw)).klass in CLASSES


def test_ten_million_hostile_characters_are_cut() -> None:
    for text in ("a" * 10_000_000, "<@" * 5_000_000, "\\xff" * 2_500_000, "550-" * 2_500_000):
        assert len(read(text).text) <= 3 * TEXT_CAP
        assert ask(text).klass in CLASSES


def test_the_same_reply_has_the_same_verdict() -> None:
    context = ReplyContext("550 5.1.1 User unknown", mx="mx.example.com")
    assert CLASSIFIER.classify(context) == Classifier(ruleset.load()).classify(context)
