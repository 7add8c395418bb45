"""RSA signatures eight at a time: the same as one by one, checked before they go out."""

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import hatch_build
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPrivateNumbers,
    RSAPublicNumbers,
    generate_private_key,
    rsa_crt_dmp1,
    rsa_crt_dmq1,
    rsa_crt_iqmp,
)
from hypothesis import given
from hypothesis import strategies as st

from ekiden.dkim import batch, lanes
from ekiden.dkim.batch import BatchKey, batch_key, sign_one
from ekiden.dkim.lanes import LEAST, lane_key, multi_buffer

KEYS = {bits: generate_private_key(65537, bits) for bits in (1024, 2048)}


def by_lanes(private: RSAPrivateKey) -> BatchKey:
    """The key, which must be one that signs eight at a time."""
    key = batch_key(private)
    if key is None:
        pytest.skip("batch.c is not compiled here: python hatch_build.py")
    if key.lanes is None:
        pytest.skip("no libcrypto_mb here, or a processor it is not made for")
    return key


def signed_in_lanes(key: BatchKey, pieces: list[bytes]) -> int:
    """How many of the pieces the lanes sign, and nothing else."""
    order = key.order(pieces)
    order.key = None  # libcrypto signs nothing without one
    order.sign()
    return int(order.done)


@pytest.mark.parametrize("bits", KEYS)
@given(pieces=st.lists(st.binary(max_size=300), max_size=40))
def test_each_is_what_cryptography_makes(bits: int, pieces: list[bytes]) -> None:
    key = by_lanes(KEYS[bits])
    assert key.sign(pieces) == [sign_one(KEYS[bits], one) for one in pieces]


def test_the_rest_of_a_batch_goes_into_lanes_if_it_is_worth_it() -> None:
    key = by_lanes(KEYS[2048])
    found = [signed_in_lanes(key, [b"%d" % one for one in range(count)]) for count in range(1, 26)]
    wanted = [
        count if count % 8 == 0 or count % 8 >= LEAST else count // 8 * 8 for count in range(1, 26)
    ]
    assert found == wanted


@pytest.mark.parametrize("number", ["p", "q", "dp", "dq", "inverse_q"])
def test_a_signature_that_went_wrong_does_not_go_out(number: str) -> None:
    # One wrong half of a Chinese remainder signature gives the key away to who sees it.
    private = generate_private_key(65537, 2048)
    key = by_lanes(private)
    assert key.lanes is not None
    word = ctypes.c_uint64.from_address(getattr(key.lanes._key, number))
    word.value ^= 2
    pieces = [b"%d" % one for one in range(16)]
    assert signed_in_lanes(key, pieces) == 0
    assert key.sign(pieces) == [sign_one(private, one) for one in pieces]  # one after the other


def test_one_that_errs_from_the_start_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    by_lanes(KEYS[2048])

    real = BatchKey.sign

    def wrong(key: BatchKey, pieces: list[bytes]) -> list[bytes]:
        return real(key, pieces) if key.lanes is None else [bytes(256)] * len(pieces)

    monkeypatch.setattr(BatchKey, "sign", wrong)
    key = batch_key(KEYS[2048])
    assert key is not None
    assert key.lanes is None
    assert key.sign([b"a"] * 9) == [sign_one(KEYS[2048], b"a")] * 9


@pytest.mark.parametrize(("exponent", "bits"), [(3, 2048), (65537, 2056), (65537, 1536)])
def test_other_keys_are_signed_with_one_after_the_other(exponent: int, bits: int) -> None:
    private = generate_private_key(exponent, bits)
    by_lanes(KEYS[2048])
    key = batch_key(private)
    if key is None:  # more than MOST_BITS
        assert bits > batch.MOST_BITS
        return
    assert key.lanes is None
    assert key.sign([b"a"] * 9) == [sign_one(private, b"a")] * 9


def with_unequal_primes() -> RSAPrivateKey:
    """A key of 2048 bits whose primes have 1030 and 1018: allowed, and no lane has room for it."""
    while True:
        long, short = (
            generate_private_key(65537, bits).private_numbers().p for bits in (2060, 2036)
        )
        private_exponent = pow(65537, -1, (long - 1) * (short - 1))
        if (long * short).bit_length() == 2048:
            break
    return RSAPrivateNumbers(
        p=long,
        q=short,
        d=private_exponent,
        dmp1=rsa_crt_dmp1(private_exponent, long),
        dmq1=rsa_crt_dmq1(private_exponent, short),
        iqmp=rsa_crt_iqmp(long, short),
        public_numbers=RSAPublicNumbers(65537, long * short),
    ).private_key()


def test_a_key_whose_primes_are_not_of_one_size_signs_all_the_same() -> None:
    private = with_unequal_primes()
    by_lanes(KEYS[2048])
    key = batch_key(private)
    assert key is not None
    assert key.lanes is None
    assert key.sign([b"a"] * 9) == [sign_one(private, b"a")] * 9


class TestNeverNeeded:
    def found(self) -> ctypes.CDLL | None:
        return multi_buffer.__wrapped__()

    def without_package(self, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
        monkeypatch.setattr(lanes, "LIBRARIES", names)
        monkeypatch.setattr(lanes, "PACKAGE", "ekiden-no-such-package")

    def test_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.without_package(monkeypatch, "libcrypto_mb.so.none")
        assert self.found() is None

    def test_not_a_library(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "libcrypto_mb.so.13").write_bytes(b"\x7fELF and so on")
        self.without_package(monkeypatch, str(tmp_path / "libcrypto_mb.so.13"))
        assert self.found() is None

    def test_another_library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.without_package(monkeypatch, "libm.so.6")
        assert self.found() is None

    def test_a_processor_that_it_is_not_made_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        if self.found() is None:
            pytest.skip("no libcrypto_mb here")

        class Unfit:
            @staticmethod
            def mbx_is_crypto_mb_applicable(_features: int) -> int:
                return 0

        monkeypatch.setattr(lanes, "_load", lambda _name: Unfit())
        assert self.found() is None

    def test_a_library_of_which_something_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        key = by_lanes(KEYS[2048])
        assert key.lanes is not None
        library = batch._library(batch.COMPILED)
        assert library is not None
        monkeypatch.setattr(lanes, "multi_buffer", lambda: ctypes.CDLL("libm.so.6"))
        assert lane_key(KEYS[2048], library.crypto) is None


class TestStandIns:
    def test_they_are_in_nobodys_way_who_needs_the_real_ones(self, tmp_path: Path) -> None:
        """A library that calls something of what they stand in for is not loaded at all."""
        if not list(lanes.STAND_INS.glob("lib*")):
            pytest.skip("none were made here")
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("no compiler here")
        source = tmp_path / "user.c"
        source.write_text(
            "double __svml_sin(double); double f(double x) { return __svml_sin(x); }\n"
        )
        made = tmp_path / "libuser.so"
        svml = str(lanes.STAND_INS / "libsvml.so")
        link = [
            compiler,
            "-shared",
            "-fPIC",
            "-Wl,--no-as-needed",
            "-o",
            str(made),
            str(source),
            svml,
        ]
        subprocess.run(link, check=True)
        assert lanes._load(str(made)) is None

    def test_they_are_made_where_they_are_needed(self, tmp_path: Path) -> None:
        if shutil.which("cc") is None:
            pytest.skip("no compiler here")
        assert hatch_build.make_stand_ins(tmp_path) == ""
        made = sorted(file.name for file in (tmp_path / hatch_build.STAND_INS).glob("*"))
        assert made == (list(hatch_build.STOOD_IN_FOR) if sys.platform == "linux" else [])
