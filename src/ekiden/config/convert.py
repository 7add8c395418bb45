"""One TOML value made into one value of the program, or a sentence that says what was expected."""

import difflib
import ipaddress
import re
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from ekiden.config import keys, units
from ekiden.config.pattern import wrong_pattern
from ekiden.config.places import HttpListen, Listen, Nameserver, Place
from ekiden.localtime import Span, zone
from ekiden.text import printable

_HOST: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)"
    r"(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)
# RFC 5321 section 4.1.1.1: a fully-qualified name, or an address literal where there is none.
_EHLO: Final = re.compile(
    r"(?=.{1,255}\Z)(?!-)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*|\[[0-9A-Fa-f:.IPv]{3,50}\]"
)
_CLOCK: Final = {"zone": zone, "span": Span.parse}
# What a place is written like, and its lowest port: a server that listens may take any free one.
_PLACES: Final[dict[type[Place], tuple[str, int]]] = {
    Nameserver: ("127.0.0.1:53", 1),
    Listen: ("0.0.0.0:25", 0),
    HttpListen: ("127.0.0.1:8080", 0),
}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class WrongValueError(ValueError):
    """A value that a key does not take.

    Args:
        what: What was expected and what was found.
        remedy: What to do about it.
        path: Where inside the value it is: the element's position in a list.
    """

    def __init__(self, what: str, remedy: str = "", path: tuple[str | int, ...] = ()) -> None:
        super().__init__(what)
        self.remedy = remedy
        self.path = path


def convert(value: Any, type_: Any, key: keys.Key, base: Path) -> Any:
    """Return `value` as `type_`.

    Args:
        value: As `tomllib` gave it.
        type_: The key's type.
        key: Its unit and bounds.
        base: What relative paths are relative to.

    Raises:
        WrongValueError: It is not such a value.
    """
    inner, _ = keys.optional(type_)
    members = get_args(inner)
    if get_origin(inner) is tuple:
        return _list(value, members[0], key, base)
    if get_origin(inner) is Literal:
        return _choice(value, members)
    for member in members:
        if get_origin(member) is tuple:  # a list or a section: sections never come here
            return _list(value, get_args(member)[0], key, base, least=1)
    if inner in (int, float, bool):
        return _number(value, inner, key)
    if not isinstance(value, str):
        raise WrongValueError(f"expected a string, got {show(value)}")
    if _CONTROL.search(value):
        raise WrongValueError(f"control characters are not allowed, got {show(value)}")
    return _text(value, inner, key, base)


def _list(value: Any, type_: Any, key: keys.Key, base: Path, *, least: int = 0) -> tuple[Any, ...]:
    if not isinstance(value, list):
        example = f"such as {key.example}" if key.example else "in brackets"
        raise WrongValueError(f"expected a list {example}, got {show(value)}")
    if len(value) < least:
        raise WrongValueError("expected at least one value")
    found: list[Any] = []
    for position, one in enumerate(value):
        try:
            found.append(convert(one, type_, key, base))
        except WrongValueError as error:
            raise WrongValueError(str(error), error.remedy, path=(position, *error.path)) from None
    return tuple(found)


def _choice(value: Any, members: tuple[Any, ...]) -> Any:
    if value in members and isinstance(value, str):
        return value
    near = difflib.get_close_matches(str(value), members, n=1)
    names = ", ".join(f'"{member}"' for member in members)
    remedy = f'did you mean "{near[0]}"?' if near else ""
    raise WrongValueError(f"expected one of {names}, got {show(value)}", remedy)


def _number(value: Any, type_: type, key: keys.Key) -> Any:
    if type_ is bool:
        if isinstance(value, bool):
            return value
        raise WrongValueError(f"expected true or false, got {show(value)}")
    if key.unit:
        number = _with_unit(value, key)
    else:
        allowed = (int,) if type_ is int else (int, float)
        if isinstance(value, bool) or not isinstance(value, allowed) or value != value:  # noqa: PLR0124 - NaN
            kind = "a whole number" if type_ is int else "a number"
            raise WrongValueError(f"expected {kind}{bounds(key)}, got {show(value)}")
        number = type_(value)
    low, high = key.minimum, key.maximum
    if (low is not None and number < low) or (high is not None and number > high):
        raise WrongValueError(f"expected a value{bounds(key)}, got {show(value)}")
    return number


def _with_unit(value: Any, key: keys.Key) -> float | int:
    parse = units.parse_duration if key.unit == "duration" else units.parse_size
    try:
        return parse(value if isinstance(value, str) else "")
    except ValueError as error:
        remedy = ""
        if isinstance(value, int) and not isinstance(value, bool):
            unit = "s" if key.unit == "duration" else "B"
            remedy = f'write the unit: "{value}{unit}"'
        raise WrongValueError(f"{error}, got {show(value)}", remedy) from None


def bounds(key: keys.Key) -> str:
    """Return the bounds of a number in words, with a space before them; "" when there are none."""
    low, high = (_bound(bound, key) for bound in (key.minimum, key.maximum))
    if low and high:
        return f" from {low} to {high}"
    return f" of at least {low}" if low else f" of at most {high}" if high else ""


def _bound(bound: float | None, key: keys.Key) -> str:
    if bound is None:
        return ""
    if key.unit == "duration":
        return units.format_duration(bound)
    return units.format_size(int(bound)) if key.unit == "size" else f"{bound:.15g}"


def _text(value: str, type_: Any, key: keys.Key, base: Path) -> Any:
    if type_ is Path:
        if not value:
            raise WrongValueError("expected a path, got an empty string")
        return base / value
    if type_ is units.Rate:
        return _parsed(value, units.parse_rate)
    if type_ in _PLACES:
        return _place(value, type_)
    if type_ is not str:
        return _ip(value, type_)
    if key.unit == "pattern" and (wrong := wrong_pattern(value)):
        raise WrongValueError(f"{wrong}, got {show(value)}")
    if key.unit in _CLOCK and value:
        _parsed(value, _CLOCK[key.unit])
    if key.unit == "host" and value and not is_host(value):
        raise WrongValueError(f"expected a host name, got {show(value)}")
    if key.unit == "ehlo" and value and not _EHLO.fullmatch(value):
        raise WrongValueError(f'expected a host name or "[address]", got {show(value)}')
    return value


def _parsed(value: str, parse: Any) -> Any:
    try:
        return parse(value)
    except ValueError as error:
        raise WrongValueError(f"{error}, got {show(value)}") from None


def _ip(value: str, type_: Any) -> Any:
    """Return `value` as an address or a network, whichever `type_` is."""
    six = type_ is ipaddress.IPv6Address
    if ipaddress.IPv4Network in get_args(type_):
        try:
            return ipaddress.ip_network(value)
        except ValueError:
            loose = _loose_network(value)
            remedy = f'did you mean "{loose}"?' if loose else ""
            what = f'expected a network such as "10.0.0.0/8", got {show(value)}'
            raise WrongValueError(what, remedy) from None
    try:
        return ipaddress.IPv6Address(value) if six else ipaddress.ip_address(value)
    except ValueError:
        wanted = "an IPv6 address" if six else "an IP address"
        raise WrongValueError(f"expected {wanted}, got {show(value)}") from None


def _loose_network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        return ""


def _place(value: str, type_: type[Place]) -> Place:
    """Return "ADDRESS", "V4:PORT" or "[V6]:PORT" as a place; without a port, with its usual one."""
    example, least = _PLACES[type_]
    host, port = value, example.rpartition(":")[2]
    if value.startswith("["):
        host, _, port = value[1:].partition("]:")
    elif value.count(":") == 1:
        host, port = value.split(":")
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        address = ""
    if (
        not address
        or not port.isascii()
        or not port.isdigit()
        or not least <= int(port[:6]) <= 65_535
    ):
        what = f'expected an address with or without port, such as "{example}", got {show(value)}'
        raise WrongValueError(what)
    return type_(address, int(port))


def is_host(value: str) -> bool:
    """Return whether `value` can stand where a host is named: a DNS name or an IP address."""
    if _HOST.fullmatch(value):
        return True
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def show(value: Any) -> str:
    """Return a TOML value as it may be shown in a message."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{printable(value, 80)}"'
    if isinstance(value, list):
        return "a list"
    return "a table" if isinstance(value, dict) else printable(str(value), 80)
