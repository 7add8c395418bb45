"""Relaxed canonical forms: the RFC's examples, dkimpy's opinion, and any cutting into pieces."""

import base64
import hashlib

import pytest
from dkim.canonicalization import CanonicalizationPolicy
from hypothesis import given
from hypothesis import strategies as st

from ekiden.dkim.canonical import (
    BodyHash,
    body_hash,
    canonical_hash,
    end_of_body,
    relaxed_body,
    relaxed_header,
    relaxed_lines,
)

POLICY = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
BODIES = st.lists(
    st.sampled_from([b"\r\n", b" ", b"\t", b"a", b"word", b" \r\n", b"\r\n\r\n", b".", b"\xe6"])
).map(b"".join)


def test_examples_of_rfc_6376_section_3_4_5() -> None:
    assert relaxed_header(b"A", b" X") == b"a:X"
    assert relaxed_header(b"B", b" Y\t\r\n\tZ  ") == b"b:Y Z"
    assert relaxed_body(b" C \r\nD \t E\r\n\r\n\r\n") == b" C\r\nD E\r\n"


def test_empty_bodies_of_rfc_6376_section_3_4_4() -> None:
    empty = base64.b64decode("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
    for body in (b"", b"\r\n", b"\r\n\r\n", b" \t\r\n \r\n"):
        assert body_hash(body) == empty
    assert relaxed_body(b"no line end") == b"no line end\r\n"


@given(BODIES)
def test_body_is_the_one_dkimpy_makes(body: bytes) -> None:
    whole = body if not body or body.endswith(b"\r\n") else body + b"\r\n"
    assert relaxed_body(body) == POLICY.canonicalize_body(whole)


@given(
    st.lists(st.sampled_from([b" ", b"\t", b"\r\n ", b"\r\n\t", b"a", b"Bc", b";"])).map(b"".join)
)
def test_header_is_the_one_dkimpy_makes(value: bytes) -> None:
    ((name, theirs),) = POLICY.canonicalize_headers([(b"SubJect", value + b"\r\n")])
    assert relaxed_header(b"SubJect", value) + b"\r\n" == name + b":" + theirs


@given(BODIES, st.integers(1, 7))
def test_in_pieces_as_whole(body: bytes, size: int) -> None:
    pieces = BodyHash()
    for start in range(0, len(body), size):
        pieces.update(body[start : start + size])
    assert pieces.digest() == body_hash(body) == hashlib.sha256(relaxed_body(body)).digest()


@given(st.lists(BODIES.map(lambda body: body + b"\r\n")))
def test_blocks_of_lines_concatenate(blocks: list[bytes]) -> None:
    joined = b"".join(relaxed_lines(block) for block in blocks)
    assert joined == relaxed_lines(b"".join(blocks))
    assert end_of_body(joined) == relaxed_body(b"".join(blocks))


@pytest.mark.parametrize("size", [0, 1, 2046, 2047, 2048, 4095, 65_536, 65_537, 100_000])
def test_hashing_in_pieces_is_hashing(size: int) -> None:
    body = bytes(number % 251 for number in range(size))
    assert canonical_hash(body) == hashlib.sha256(body).digest()
