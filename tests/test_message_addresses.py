"""Addresses: what is mailed, what is refused and why, and what a From line may look like."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.message.addresses import (
    Address,
    AddressError,
    parse_address,
    parse_domain,
    parse_mailbox,
    parse_mailboxes,
    plain_addresses,
)


@pytest.mark.parametrize(
    ("text", "local", "domain", "smtputf8"),
    [
        ("a@example.jp", "a", "example.jp", False),
        ("Taro.Yamada+tag@Example.JP", "Taro.Yamada+tag", "example.jp", False),
        ("!#$%&'*+/=?^_`{|}~-@x.example", "!#$%&'*+/=?^_`{|}~-", "x.example", False),
        ("a@xn--r8jz45g.jp", "a", "xn--r8jz45g.jp", False),
        ("a@例え.jp", "a", "xn--r8jz45g.jp", False),
        ("a@例え。jp", "a", "xn--r8jz45g.jp", False),
        ("a@ＥＸＡＭＰＬＥ.jp", "a", "example.jp", False),
        ("山田@例え.jp", "山田", "xn--r8jz45g.jp", True),
        ('"a b"@example.jp', '"a b"', "example.jp", False),
        ('"a@b"@example.jp', '"a@b"', "example.jp", False),
        ('"a\\"b"@example.jp', '"a\\"b"', "example.jp", False),
        ('"plain"@example.jp', "plain", "example.jp", False),
        ("a..b@docomo.ne.jp", "a..b", "docomo.ne.jp", False),
        ("abc.@docomo.ne.jp", "abc.", "docomo.ne.jp", False),
        ("a...b.@EZWEB.ne.jp", "a...b.", "ezweb.ne.jp", False),
        ("a.-.b@au.com", "a.-.b", "au.com", False),
        ("x" * 64 + "@example.jp", "x" * 64, "example.jp", False),
    ],
)
def test_accepted(text: str, local: str, domain: str, smtputf8: bool) -> None:
    assert parse_address(text) == Address(local, domain, smtputf8)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no @"),
        ("plain", "no @"),
        ("@example.jp", "empty"),
        ('""@example.jp', "empty"),
        ("a@", "domain is empty"),
        ("a@localhost", "no dot"),
        ("a@example.jp.", "not a domain"),
        ("a@.example.jp", "not a domain"),
        ("a@exa mple.jp", "not a domain"),
        ("a@-example.jp", "not a domain"),
        ("a@ex_ample.jp", "not a domain"),
        ("a@[192.0.2.1]", "literal"),
        ("a@192.0.2.1", "ends in a number"),
        ("a@" + "x" * 64 + ".jp", "not a domain"),
        ("a@" + ".".join(["x" * 60] * 5) + ".jp", "long"),
        ("a@xn--a.jp", "internationalised"),
        ("a@\u200d.jp", "internationalised"),
        ("x" * 65 + "@example.jp", "longer than 64"),
        ("山" * 22 + "@example.jp", "longer than 64"),
        ("x" * 64 + "@" + ".".join(["y" * 47] * 4), "longer than 254"),
        ("a..b@example.jp", "two in a row"),
        (".a@docomo.ne.jp", "start"),
        ("a.@example.jp", "dot at its start or end"),
        ("a b@example.jp", "not allowed"),
        ("a,b@example.jp", "not allowed"),
        ("<a@example.jp>", "not allowed|not a domain"),
        ('"a"b"@example.jp', "not allowed"),
        ("a@b@example.jp", "not allowed"),
        ("a\r\nb@example.jp", "control"),
        ("a\n@example.jp", "control"),
        ("a\0@example.jp", "control"),
        ("a@example.jp\r\nRCPT TO:<b@example.jp>", "not"),
        ("a@example.jp\n", "not a domain"),
        ("山\u2028田@example.jp", "control"),
        ("山 田@example.jp", "not allowed"),
        ("\ud800@example.jp", "Unicode|not allowed"),
        ("=?utf-8?q?a=40b.example=3e=00?=@example.jp", "encoded word"),
        ('"=?utf-8?q?x?="@example.jp', "encoded word"),
        ("山=?utf-8?q?x?=@example.jp", "encoded word"),
    ],
)
def test_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(AddressError, match=reason) as caught:
        parse_address(text)
    assert caught.value.reason.isprintable()


def test_dotty_local_parts_are_quoted_in_fields_only() -> None:
    address = parse_address("a..b@docomo.ne.jp")
    assert address.spec == "a..b@docomo.ne.jp"
    assert address.header_spec == '"a..b"@docomo.ne.jp'
    assert parse_address("a.b@docomo.ne.jp").header_spec == "a.b@docomo.ne.jp"


def test_domains() -> None:
    assert parse_domain("BÜCHER.example") == "xn--bcher-kva.example"
    assert parse_domain("日本語.日本") == "xn--wgv71a119e.xn--wgv71a"


@pytest.mark.parametrize(
    ("text", "name", "spec"),
    [
        ("a@x.jp", "", "a@x.jp"),
        (" <a@x.jp> ", "", "a@x.jp"),
        ("山田 太郎 <a@x.jp>", "山田 太郎", "a@x.jp"),
        ('"Yamada, Taro" <a@x.jp>', "Yamada, Taro", "a@x.jp"),
        ('"a \\"b\\" <c>" <a@x.jp>', 'a "b" <c>', "a@x.jp"),
        ("=?utf-8?B?5bGx55Sw?= <a@x.jp>", "山田", "a@x.jp"),
        ("=?iso-2022-jp?B?GyRCOzNFRBsoQg==?= <a@x.jp>", "山田", "a@x.jp"),
        ("a@x.jp (Yamada)", "Yamada", "a@x.jp"),
        ("Name < a@x.jp >", "Name", "a@x.jp"),
    ],
)
def test_mailboxes(text: str, name: str, spec: str) -> None:
    box = parse_mailbox(text)
    assert (box.name, box.address.spec) == (name, spec)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "Name",
            "a@x.jp>",
            'a "b <a@x.jp>',
            "a <b> <a@x.jp>",
            "N <a@x.jp> x",
            "N\r\nBcc: b <a@x.jp>",
        ),
        *("N\0 <a@x.jp>", "=?utf-8?q?a=0d=0aBcc:_b?= <a@x.jp>", "<=?utf-8?q?a=40y.jp?=@x.jp>"),
    ],
)
def test_wrong_mailboxes_are_refused(text: str) -> None:
    with pytest.raises(AddressError):
        parse_mailbox(text)


def test_lists_split_outside_quotes_and_brackets() -> None:
    text = '"A, B" <a@x.jp>, c@x.jp (one, (two), three), friends: d@x.jp, "e;e"@x.jp;, f@x.jp'
    assert [box.address.spec for box in parse_mailboxes(text)] == [
        *("a@x.jp", "c@x.jp", "d@x.jp", '"e;e"@x.jp', "f@x.jp")
    ]
    with pytest.raises(AddressError, match="bad: there is no @"):
        parse_mailboxes("a@x.jp, bad")


@given(st.text(max_size=80) | st.text(st.sampled_from('a.@"<>(),;:\\ =?\r\n\0山[]1-'), max_size=40))
def test_only_address_errors_leave_the_parsers(text: str) -> None:
    for parse in (parse_address, parse_mailbox, parse_mailboxes, parse_domain):
        with contextlib.suppress(AddressError):
            parse(text)


@given(
    st.text(st.sampled_from('a.@"\\ =?山-+_'), max_size=20),
    st.sampled_from(["x.jp", "docomo.ne.jp"]),
)
def test_what_is_accepted_is_fit_for_rcpt_and_read_the_same_again(local: str, domain: str) -> None:
    try:
        address = parse_address(f"{local}@{domain}")
    except AddressError:
        return
    assert not set(address.spec) & set("\r\n\0<>")
    assert address.smtputf8 != address.spec.isascii()
    assert parse_address(address.spec) == address


plain = st.sampled_from(
    [
        "a@x.jp",
        "a.b+c@mail.example",
        "A@X.JP",
        "a..b@docomo.ne.jp",
        "a@\u4f8b.jp",
        "=?x?=@x.jp",
        "a@x..jp",
        " a@x.jp",
        "a@x.jp\nb",
        "a@@x.jp",
        "",
        "@x.jp",
        f"{'a' * 65}@x.jp",
        "a@x_y.jp",
    ]
)


@given(st.lists(plain | st.text(st.sampled_from("aZ9.@-_+ \n="), max_size=12), min_size=1))
def test_many_at_once_are_read_as_one_by_one(texts: list[str]) -> None:
    found = plain_addresses(texts)
    if found is None:
        return
    one_by_one = [parse_address(text) for text in texts]
    assert found == ([one.spec for one in one_by_one], [one.domain for one in one_by_one])


def test_the_usual_ones_are_read_at_once() -> None:
    assert plain_addresses(["a.b@x.jp", "C+d@X.jp"]) == (["a.b@x.jp", "C+d@x.jp"], ["x.jp", "x.jp"])
    assert plain_addresses(["a@x.jp", "a..b@docomo.ne.jp"]) is None
