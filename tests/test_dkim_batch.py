"""Signatures in batches: the same as one by one, on any thread, and never needed."""

import ctypes
import shutil
import sysconfig
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import hatch_build
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from hypothesis import given
from hypothesis import strategies as st

from dkim_compiled import ROOT, compile_copy, copy_sources
from dkim_oracle import verdicts
from ekiden.dkim import batch
from ekiden.dkim.batch import BatchKey, Private, batch_key, sign_one
from ekiden.dkim.crew import start_crew
from ekiden.dkim.keys import Algorithm, Key, generate
from ekiden.dkim.sign import Prepared, Signed, Signer, alike, finish_each, finish_with, orders
from ekiden.errors import UnavailableError
from ekiden.message.rendered import Rendered

RSA = generate("example.jp", "rsa", Algorithm.RSA)
ED = generate("example.jp", "ed", Algorithm.ED25519)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """batch.c as an installation compiles it, from a copy of the tree."""
    return compile_copy(tmp_path_factory.mktemp("tree"))


def in_batches(private: Private, compiled: Path) -> BatchKey:
    """The key, which must be one that signs in batches."""
    made = batch_key(private, compiled)
    if made is None:
        pytest.skip("no libcrypto of OpenSSL 3 here")
    return made


def able(key: Key, compiled: Path) -> Key:
    return replace(key, batch=in_batches(key.private, compiled))


def prepared(keys: list[Key], number: int) -> tuple[Rendered, Prepared]:
    headers = ((b"From", b" a@example.jp"), (b"Subject", b" %d" % number))
    message = Rendered(headers, b"message %d\r\n" % number)
    return message, Signer(keys).prepare(message.headers, message.body_hash(), 1_700_000_000)


def finish_together(batch: list[Prepared]) -> list[Signed]:
    """Finish messages in orders where that can be done, as the engine's threads do."""
    signed: list[Signed] = [b""] * len(batch)
    for places in alike(batch):
        group = [batch[place] for place in places]
        given = orders(group)
        for order in given or ():
            order.sign()
        found = finish_each(group) if given is None else finish_with(group, given)
        for place, one in zip(places, found, strict=True):
            signed[place] = one
    return signed


@pytest.mark.parametrize("bits", [1024, 1536, 1544, 2048])
def test_rsa_of_every_size_is_what_cryptography_makes(bits: int, compiled: Path) -> None:
    private = generate_private_key(65537, bits)
    pieces = [b"", b"a", b"from:a@example.jp\r\n" * 50, bytes(70_000)]
    assert in_batches(private, compiled).sign(pieces) == [sign_one(private, one) for one in pieces]


@pytest.mark.parametrize("bits", [2056, 3072])
def test_longer_rsa_keys_sign_one_by_one(bits: int, compiled: Path) -> None:
    assert batch_key(generate_private_key(65537, bits), compiled) is None


@given(pieces=st.lists(st.binary(max_size=2000), max_size=40))
def test_ed25519_is_what_cryptography_makes(pieces: list[bytes]) -> None:
    if ED.batch is None:
        pytest.skip("batch.c is not compiled here: python hatch_build.py")
    assert ED.batch.sign(pieces) == [sign_one(ED.private, one) for one in pieces]


def test_threads_share_a_key(compiled: Path) -> None:
    key = in_batches(RSA.private, compiled)
    batches = [[b"%d of %d" % (one, number) for one in range(16)] for number in range(24)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(key.sign, batches))
    assert found == [[sign_one(RSA.private, one) for one in pieces] for pieces in batches]


def test_the_interpreter_works_on_while_a_batch_is_signed(compiled: Path) -> None:
    key = in_batches(generate_private_key(65537, 2048), compiled)
    key.lanes = None  # as slow as can be
    done = threading.Event()
    turns = 0

    def sign() -> None:
        key.sign([b"x"] * 1000)
        done.set()

    signing = threading.Thread(target=sign)
    signing.start()
    while not done.is_set():
        turns += 1
    signing.join()
    # With the lock kept all the while, this thread would have got a turn or two at most.
    assert turns > 1000


def test_messages_of_several_identities_in_one_batch(compiled: Path) -> None:
    other = generate("other.example", "o", Algorithm.RSA)
    identities = [
        [able(RSA, compiled)],
        [able(RSA, compiled), able(ED, compiled)],
        [other],  # one by one
        [replace(other, batch=None), able(ED, compiled)],
    ]
    signers = [Signer(keys) for keys in identities]  # messages of one have the same keys
    made = []
    for number in range(20):
        message, _ = prepared([RSA], number)
        one = signers[number % 4].prepare(message.headers, message.body_hash(), 1_700_000_000)
        made.append((identities[number % 4], message, one))
    assert sorted(map(len, alike([one for _, _, one in made]))) == [5] * 4
    signed = finish_together([one for _, _, one in made])
    for (keys, message, one), fields in zip(made, signed, strict=True):
        assert isinstance(fields, bytes)
        assert fields == one.finish()
        assert verdicts(message.message(fields), keys) == [True] * len(keys)


def test_what_is_wrong_with_one_message_is_its_own_fault(compiled: Path) -> None:
    key = able(RSA, compiled)
    _, good = prepared([key], 1)
    broken = Prepared(((b"", None),), good.keys)  # type: ignore[arg-type]  # the fault wanted
    signed = finish_each([good, broken, good])
    assert [signed[0], signed[2]] == [good.finish()] * 2
    assert isinstance(signed[1], TypeError)


def test_when_libcrypto_refuses_cryptography_signs(
    compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = able(RSA, compiled)
    assert key.batch is not None
    monkeypatch.setattr(key.batch, "_length", 128)  # not what this key makes
    with pytest.raises(UnavailableError, match="0 of 3"):
        key.batch.sign([b"a", b"b", b"c"])
    _, one = prepared([key], 1)
    with pytest.raises(UnavailableError):
        finish_together([one, one])
    assert finish_each([one, one]) == [one.finish()] * 2


class TestNeverNeeded:
    def test_not_compiled(self, tmp_path: Path) -> None:
        assert batch_key(RSA.private, tmp_path / "_batch.so") is None

    def test_not_a_library(self, tmp_path: Path) -> None:
        (tmp_path / "_batch.so").write_bytes(b"\x7fELF and so on")
        assert batch_key(RSA.private, tmp_path / "_batch.so") is None

    def test_another_library(self) -> None:
        name = sysconfig.get_config_var("LIBM") and "libm.so.6"
        try:
            ctypes.CDLL(str(name))
        except OSError:
            pytest.skip("no library to take for it")
        assert batch_key(RSA.private, Path(str(name))) is None

    def test_compiled_from_another_version(self, compiled: Path, tmp_path: Path) -> None:
        """What `git pull` leaves in a source tree, until it is compiled again."""
        copy_sources(tmp_path)
        header = tmp_path / hatch_build.HEADER
        text = header.read_text("utf-8")
        grown = text.replace("  size_t done; ", "  size_t more, done; ")
        assert grown != text
        header.write_text(grown, "utf-8")
        assert hatch_build.compile_batch(tmp_path) == ""
        assert batch_key(RSA.private, compiled) is not None
        assert batch_key(RSA.private, tmp_path / hatch_build.COMPILED) is None
        assert start_crew(1, 0, tmp_path / hatch_build.COMPILED) is None

    def test_no_libcrypto(self, compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(batch, "LIBCRYPTO", ("libcrypto.so.none",))
        copy = compiled.with_name("another.so")
        shutil.copy(compiled, copy)
        assert batch_key(RSA.private, copy) is None

    def test_a_trial_that_differs(self, compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(BatchKey, "sign", lambda _self, pieces: [b"wrong"] * len(pieces))
        assert batch_key(RSA.private, compiled) is None

    def test_a_key_that_libcrypto_does_not_read(
        self, compiled: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        in_batches(RSA.private, compiled)
        library = batch._library(compiled)
        monkeypatch.setattr(library, "load", lambda _der: 0)
        assert batch_key(Ed25519PrivateKey.generate(), compiled) is None


class TestCompiling:
    def test_a_compiler_that_is_missing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CC", str(tmp_path / "no-such-cc"))
        assert "no-such-cc" in hatch_build.compile_batch(ROOT)

    def test_a_compiler_that_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CC", "false")
        assert hatch_build.compile_batch(tmp_path) == "false ended with 1"
        assert not (tmp_path / hatch_build.COMPILED).exists()

    def test_no_warnings(
        self, compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        del compiled  # there is a compiler
        copy_sources(tmp_path)
        monkeypatch.setenv("CC", "cc -Wall -Wextra -Wpedantic -Wconversion -Werror -std=c11")
        sources = [tmp_path / source for source in hatch_build.SOURCES]
        assert not hatch_build.compile_library(tmp_path / hatch_build.COMPILED, sources)
