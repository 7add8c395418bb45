"""Keys: private stays private, records can be published and compared."""

import base64
import contextlib
import errno
import os
import stat
from pathlib import Path
from unittest.mock import Mock

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ekiden.dkim import keys
from ekiden.dkim.keys import Algorithm, generate, load_key, record_line, record_strings, record_text
from ekiden.dkim.records import Record, RecordError, parse_record, problems
from ekiden.errors import ConfigError, RefusedError

RSA = generate("example.jp", "s1", Algorithm.RSA)
ED = generate("example.jp", "e1", Algorithm.ED25519)
SHORT = Mock(spec=RSAPrivateKey, key_size=1023)  # cryptography makes none this short any more


@pytest.mark.parametrize("key", [RSA, ED], ids=["rsa", "ed25519"])
def test_saved_key_is_private_and_comes_back(key: keys.Key, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    keys.save_key(key, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    loaded = load_key(path, "Example.JP.", "S1")
    assert (loaded.domain, loaded.selector, loaded.algorithm) == ("example.jp", "s1", key.algorithm)
    assert record_text(loaded) == record_text(key)
    with pytest.raises(RefusedError, match="exists"):
        keys.save_key(key, path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_key_that_others_can_reach_is_refused_with_the_cure(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    keys.save_key(ED, path)
    path.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        load_key(path, "example.jp", "e1")
    assert caught.value.remedy == f"chmod 600 {path}"


def test_foreign_owner_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key.pem"
    keys.save_key(ED, path)
    owner = path.stat().st_uid
    if owner == 0:  # root's files are everybody's to use: make it somebody's
        owner = 12_345
        os.chown(path, owner, -1)
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(ConfigError, match="belongs to user") as caught:
        load_key(path, "example.jp", "e1")
    assert caught.value.remedy.startswith("chown ")


def test_one_of_another_user_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key.pem"
    keys.save_key(ED, path)

    def refused(*_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))  # as to whoever is not root

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(ConfigError, match="Permission denied") as caught:
        load_key(path, "example.jp", "e1")
    assert caught.value.remedy.startswith(f"chown {os.geteuid()} {path}")


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    curve = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    locked = RSA.private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"x"),
    )
    path = tmp_path / "key.pem"
    for data in (b"", b"not a key", curve, locked):
        path.write_bytes(data)
        path.chmod(0o600)
        with pytest.raises(ConfigError):
            load_key(path, "example.jp", "s1")
    with pytest.raises(ConfigError, match="cannot read"):
        load_key(tmp_path / "absent", "example.jp", "s1")
    with pytest.raises(ConfigError, match="regular"):
        load_key(tmp_path, "example.jp", "s1")


@pytest.mark.parametrize("name", ["", "a b", "-a", "a;b", "a..b", "ü", "a" * 64])
def test_names_that_dns_cannot_hold_are_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        keys.key("example.jp", name, ED.private)
    with pytest.raises(ConfigError):
        keys.key(name, "s1", ED.private)


def test_short_rsa_keys_are_refused() -> None:
    with pytest.raises(ConfigError, match="1023 bits"):
        keys.key("example.jp", "s1", SHORT)


def test_record_is_cut_for_dns() -> None:
    strings = record_strings(RSA)
    assert len(strings) == 2
    assert all(len(part) <= 255 for part in strings)
    assert "".join(strings) == record_text(RSA)
    assert record_line(RSA).startswith('s1._domainkey.example.jp. IN TXT ( "v=DKIM1; k=rsa; p=')
    assert len(record_strings(ED)) == 1


@pytest.mark.parametrize("key", [RSA, ED], ids=["rsa", "ed25519"])
def test_own_record_has_no_problems(key: keys.Key) -> None:
    assert problems(key, parse_record(record_text(key))) == []


def test_rsa_record_without_its_wrapping_is_the_same_key() -> None:
    bare = RSA.private.public_key().public_bytes(
        serialization.Encoding.DER,
        serialization.PublicFormat.PKCS1,
    )
    text = f"v=DKIM1; p={base64.b64encode(bare).decode()}"
    assert problems(RSA, parse_record(text)) == []


def test_problems_are_named() -> None:
    another = generate("example.jp", "s1", Algorithm.ED25519)
    assert "another private key" in problems(ED, parse_record(record_text(another)))[0]
    assert "k=ed25519" in problems(RSA, parse_record(record_text(ED)))[0]
    assert "revoked" in problems(ED, parse_record("v=DKIM1; k=ed25519; p="))[0]
    public = record_text(ED).rpartition("p=")[2]
    found = problems(ED, parse_record(f"v=DKIM1; k=ed25519; h=sha1; s=tlsrpt; t=y:s; p={public}"))
    assert [part.split()[0] for part in found] == ["h=", "s=", "t=y"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=spf1 -all",
        "v=DKIM2; p=AA==",
        "p=AA==; v=DKIM1",
        "k=rsa",
        "p=A",
        "p=é",
        "p=AA==; p=AA==",
    ],
)
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(RecordError):
        parse_record(text)


@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from(["v=DKIM1", "p=AAAA", ";", "=", "k", " ", "t=y:s"])).map("".join)
)
def test_only_record_errors_leave_the_parser(text: str) -> None:
    found: Record | None = None
    with contextlib.suppress(RecordError):
        found = parse_record(text)
    assert found is None or (found.kind.isprintable() and "p" in text)
