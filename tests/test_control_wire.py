"""The message format: every request travels, and nothing else gets through."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.control import requests, wire
from ekiden.control.list_requests import ListContacts, RemoveTopic
from ekiden.control.methods import REQUESTS, request_of
from ekiden.errors import ConfigError, EkidenError, NotFoundError, RefusedError, UnavailableError
from ekiden.lists.model import (
    Choice,
    Consent,
    Method,
    NewContact,
    Preference,
    Sunset,
    Topic,
)
from ekiden.templates.model import TemplateText

FILLED = {
    "job": "12",
    "recipient": "a@example.com",
    "pattern": "*.example.com",
    "address": "a@example.com",
    "entries": (requests.SuppressionView(address="a@example.com", reason="manual"),),
    "raw": b"From: \xff\r\n\r\n",
    "scope": "sender:example.com",
    "contact_list": "news",
    "source": "a1",
    "reference": "welcome@3",
    "scopes": ("read", "submit"),
    "text": TemplateText(subject="{{ 名 }}", text="本文"),
    "name": "example.com",
    "code": "abc",
    "id": 7,
    "published": True,
    "sunset": Sunset(86_400.0, 12),
    "contacts": (
        NewContact(
            "a@example.com",
            {"ads": Preference.OPT_OUT},
            attributes={"名": ["花", 1, None]},
            consent=Consent(1.0, method=Method.CONFIRMED, form="はい"),
        ),
    ),
    "choice": Choice(1.0, {"ads": Preference.OPT_IN}, unsubscribed=False, ip="192.0.2.1"),
}


@pytest.mark.parametrize("kind", REQUESTS.values(), ids=str)
def test_every_request_travels(kind: type[msgspec.Struct]) -> None:
    fields = msgspec.structs.fields(kind)
    names = [field.name for field in fields]
    filled = (
        {field.name: "x" for field in fields if field.required and field.type is str}
        | FILLED
        | {"topic": "ads" if kind is RemoveTopic else Topic("ads")}
    )
    if kind is ListContacts:
        filled["topic"] = "ads"
    request = kind(**{name: filled[name] for name in names if name in filled})
    assert isinstance(request, requests.Question | requests.Listing)
    line = wire.encode_call(3, request)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    call = wire.decode_call(line)
    assert call.id == 3
    assert request_of(call) == request
    assert request.answer_type() is not None


@pytest.mark.parametrize(
    "kind", [EkidenError, ConfigError, RefusedError, NotFoundError, UnavailableError]
)
def test_every_error_travels(kind: type[EkidenError]) -> None:
    line = wire.encode_error(1, kind("what", where="where", remedy="remedy"))
    trouble = wire.decode_reply(line).error
    assert isinstance(trouble, wire.Trouble)
    error = wire.error_of(trouble)
    assert type(error) is kind
    assert (error.what, error.where, error.remedy) == ("what", "where", "remedy")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_line_is_a_message_or_a_wire_error(line: bytes) -> None:
    for decode in (
        lambda: request_of(wire.decode_call(line)),
        lambda: wire.decode_reply(line),
    ):
        try:
            decode()
        except wire.WireError as error:
            assert error.what  # noqa: PT017 - success is fine as well
