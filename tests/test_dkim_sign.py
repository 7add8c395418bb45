"""Signatures: RFC 8463's published ones, dkimpy as judge, what is signed and what breaks it."""

import base64
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from hypothesis import given, settings
from hypothesis import strategies as st

from dkim_oracle import verdicts
from ekiden.dkim.canonical import body_hash, relaxed_header
from ekiden.dkim.keys import Algorithm, Key, generate, record_text
from ekiden.dkim.sign import SIGNED_FIELDS, Signer
from ekiden.errors import ConfigError

RSA = generate("example.jp", "s2026", Algorithm.RSA)
ED = generate("example.jp", "e2026", Algorithm.ED25519)
OTHER = generate("esp.example", "s1", Algorithm.RSA)
NOW = 1_700_000_000.7
Headers = list[tuple[bytes, bytes]]
HEADERS: Headers = [
    (b"Date", b" Tue, 14 Nov 2023 22:13:20 +0000"),
    (b"From", b" =?utf-8?B?5bGx55Sw?= <news@example.jp>"),
    (b"To", b" a@example.com"),
    (b"Subject", b" one\r\n two  three"),
    (b"Message-ID", b" <1@example.jp>"),
    (b"MIME-Version", b" 1.0"),
    (b"List-Unsubscribe", b" <https://u.example/1>"),
    (b"Content-Type", b" text/plain; charset=utf-8"),
]
BODY = b"Hello \t world  \r\n\r\nend\r\n\r\n\r\n"

# RFC 8463 appendix A.2 and A.3: the message, the public keys and the signatures as published.
RFC_FIELDS: Headers = [
    (b"From", b" Joe SixPack <joe@football.example.com>"),
    (b"To", b" Suzie Q <suzie@shopping.example.net>"),
    (b"Subject", b" Is dinner ready?"),
    (b"Date", b" Fri, 11 Jul 2003 21:00:37 -0700 (PDT)"),
    (b"Message-ID", b" <20030712040037.46341.5F8J@football.example.com>"),
]
RFC_BODY = b"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
RFC_BODY_HASH = "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="
RFC_ED25519 = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
RFC_ED25519_B = (
    "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="
)
RFC_RSA = (
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi"
    "Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZy"
    "VYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
)
RFC_RSA_B = (
    "F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tF"
    "OeS9mPYQTnGdaSGsgeefOsk2JzdA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8="
)


def rfc_field(algorithm: bytes, selector: bytes, listed: bytes) -> bytes:
    return (
        b" v=1; a=%b;\r\n c=relaxed/relaxed; d=football.example.com; i=@football.example.com;\r\n"
        b" q=dns/txt; s=%b; t=1528637909; h=%b; bh=%b; b="
        % (algorithm, selector, listed, RFC_BODY_HASH.encode())
    )


def rfc_data(own: bytes) -> bytes:
    chosen = [relaxed_header(*field) for field in RFC_FIELDS]
    return b"\r\n".join([*chosen, relaxed_header(b"DKIM-Signature", own)])


def test_body_hash_of_rfc_8463_and_rfc_6376() -> None:
    assert base64.b64encode(body_hash(RFC_BODY)).decode() == RFC_BODY_HASH


def test_ed25519_signature_of_rfc_8463() -> None:
    own = rfc_field(
        b"ed25519-sha256",
        b"brisbane",
        b"from : to :\r\n subject : date : message-id : from : subject : date",
    )
    digest = hashlib.sha256(rfc_data(own)).digest()
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(RFC_ED25519))
    public.verify(base64.b64decode(RFC_ED25519_B), digest)


def test_rsa_signature_of_rfc_8463() -> None:
    own = rfc_field(
        b"rsa-sha256",
        b"test",
        b"from : to : subject :\r\n date : message-id : from : subject : date",
    )
    public = load_der_public_key(base64.b64decode(RFC_RSA))
    assert isinstance(public, RSAPublicKey)
    public.verify(base64.b64decode(RFC_RSA_B), rfc_data(own), PKCS1v15(), SHA256())


def message(headers: Headers, body: bytes, signatures: bytes) -> bytes:
    fields = b"".join(b"%b:%b\r\n" % field for field in headers)
    return signatures + fields + b"\r\n" + body


KEY_SETS = [[RSA], [ED], [RSA, ED], [ED, RSA, OTHER]]


@pytest.mark.parametrize("keys", KEY_SETS, ids=["rsa", "ed25519", "both", "three"])
@pytest.mark.parametrize("lifetime", [None, 86_400 * 7])
def test_dkimpy_verifies(keys: list[Key], lifetime: float | None) -> None:
    signer = Signer(keys, lifetime=lifetime)
    # A time in the past with a short life would rightly be refused, so x= is tested for its text.
    now = NOW if lifetime is None else 4_000_000_000.0
    signed = message(HEADERS, BODY, signer.sign(HEADERS, BODY, now))
    if lifetime is None:
        assert verdicts(signed, keys) == [True] * len(keys)
    else:
        assert signed.count(b" t=4000000000; x=4000604800;") == len(keys)


def test_dkimpy_verifies_with_an_expiry() -> None:
    lasting = Signer([RSA], lifetime=10_000_000_000)
    assert verdicts(message(HEADERS, BODY, lasting.sign(HEADERS, BODY, NOW)), [RSA]) == [True]


VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
FOLDED = st.lists(VALUES, min_size=1, max_size=8).flatmap(
    lambda words: st.sampled_from([" ", "  ", "\t", "\r\n ", " \r\n\t"]).map(
        lambda gap: (" " + gap.join(words)).encode()
    )
)
FIELDS = st.lists(
    st.tuples(
        st.sampled_from([*SIGNED_FIELDS[1:], b"X-Other", b"Received", b"Sender", b"subject"]),
        FOLDED,
    ),
    max_size=12,
)
PIECES = [b"\r\n", b" ", b"\t", b"a.", b"\xe5\xb1\xb1", b"\r\n\r\n", b"word "]
TEXT = st.lists(st.sampled_from(PIECES), max_size=30).map(lambda parts: b"".join([*parts, b"\r\n"]))


@settings(max_examples=60, deadline=None)
@given(FIELDS, TEXT)
def test_dkimpy_verifies_any_message(fields: Headers, body: bytes) -> None:
    headers = [(b"From", b" a@example.jp"), *fields]
    signed = message(headers, body, Signer([ED, RSA]).sign(headers, body, NOW))
    assert verdicts(signed, [ED, RSA]) == [True, True]


@pytest.mark.parametrize("name", SIGNED_FIELDS)
def test_a_second_field_of_a_signed_name_breaks_it(name: bytes) -> None:
    signed = message(HEADERS, BODY, Signer([ED]).sign(HEADERS, BODY, NOW))
    forged = signed.replace(b"Date:", name + b": forged@example.net\r\nDate:", 1)
    assert verdicts(signed, [ED]) == [True]
    assert verdicts(forged, [ED]) == [False]


def test_text_after_the_body_breaks_it_and_there_is_no_length() -> None:
    field = Signer([ED]).sign(HEADERS, BODY, NOW)
    assert re.search(rb"[; ]l=", field) is None
    assert verdicts(message(HEADERS, BODY + b"more\r\n", field), [ED]) == [False]


def test_relays_that_refold_and_trim_do_not_break_it() -> None:
    signed = message(HEADERS, BODY, Signer([ED, RSA]).sign(HEADERS, BODY, NOW))
    relayed = signed.replace(b" one\r\n two  three", b"  one two\r\n\tthree").replace(
        b"\t world  ", b"world"
    )
    assert relayed != signed
    assert verdicts(b"Received: by relay\r\n" + relayed, [ED, RSA]) == [True, True]


def test_the_field_is_folded_and_names_everything_once_too_often() -> None:
    field = Signer([RSA], lifetime=100).sign(HEADERS, BODY, NOW)
    lines = field.split(b"\r\n")
    assert max(map(len, lines)) <= 78
    assert all(line[:1] == b" " for line in lines[1:-1])
    tags = dict(
        part.strip().split("=", 1)
        for part in field.decode().partition(":")[2].replace("\r\n", "").split(";")
    )
    assert (tags["v"], tags["a"], tags["c"]) == ("1", "rsa-sha256", "relaxed/relaxed")
    assert (tags["t"], tags["x"]) == ("1700000000", "1700000100")
    listed = tags["h"].replace(" ", "").lower().split(":")
    for name in SIGNED_FIELDS:
        present = sum(1 for field_name, _ in HEADERS if field_name.lower() == name.lower())
        assert listed.count(name.decode().lower()) == present + 1


def test_refuses_no_key_no_from_no_life() -> None:
    with pytest.raises(ConfigError):
        Signer([])
    with pytest.raises(ConfigError):
        Signer([RSA], oversigned=[b"Subject"])
    with pytest.raises(ConfigError):
        Signer([RSA], lifetime=0)


@pytest.mark.skipif(shutil.which("opendkim") is None, reason="opendkim is not installed")
@pytest.mark.parametrize("key", [RSA, ED], ids=["rsa", "ed25519"])
@pytest.mark.parametrize(("change", "verdict"), [(b"Hello", "succeeded"), (b"Hullo", "failed")])
def test_opendkim_agrees(key: Key, change: bytes, verdict: str, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{key.record_name} {record_text(key)}\n")
    settings_ = tmp_path / "conf"
    settings_.write_text(f"TestPublicKeys {tmp_path}/keys\nMode v\nSyslog no\n")
    signed = message(HEADERS, BODY, Signer([key]).sign(HEADERS, BODY, NOW))
    (tmp_path / "message").write_bytes(signed.replace(b"Hello", change))
    done = subprocess.run(
        ["opendkim", "-x", str(settings_), "-t", str(tmp_path / "message")],
        capture_output=True,
        timeout=20,
        check=True,
    )
    said = done.stdout.decode()
    assert f"verification (s={key.selector}" in said
    assert f" {verdict}" in said


def test_record_text_is_what_the_oracle_reads() -> None:
    assert record_text(ED).startswith("v=DKIM1; k=ed25519; p=")


@pytest.mark.parametrize("lifetime", [None, 3600.0])
def test_our_own_field_is_signed_in_its_relaxed_form(lifetime: float | None) -> None:
    for field, signed in (
        Signer([RSA, ED], lifetime=lifetime).prepare(HEADERS, b"x" * 32, NOW).fields
    ):
        own = relaxed_header(b"DKIM-Signature", field.removeprefix(b"DKIM-Signature:"))
        assert signed.endswith(b"\r\n" + own)


def test_fields_kept_from_the_message_before_are_kept_only_while_they_are_the_same() -> None:
    signer = Signer([ED])
    for number in range(3):
        headers = [*HEADERS[:3], (b"Subject", b" number  %d" % number), *HEADERS[4:]]
        (_, signed), *_ = signer.prepare(headers, b"x" * 32, NOW).fields
        assert b"\r\nsubject:number %d\r\n" % number in signed
        assert signed == Signer([ED]).prepare(headers, b"x" * 32, NOW).fields[0][1]
