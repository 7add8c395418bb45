"""Suppression lists as other services export them, brought into this program's words.

| service | shape | what tells the reason |
|---|---|---|
| Amazon SES | JSON of ListSuppressedDestinations, or of one entry a line | `BOUNCE`, `COMPLAINT` |
| Amazon SES | CSV: address, reason | the same |
| SendGrid bounces | CSV or JSON: status, reason, email, created | a status 5.X.X |
| SendGrid spam reports | CSV or JSON: email, ip, created | the column `ip` |
| SendGrid unsubscribes | CSV or JSON: email, created | nothing: say it with `--reason` |

Sources: SES API reference, SuppressedDestinationSummary, and the developer guide on adding
addresses in bulk; SendGrid API reference, Suppressions. SendGrid's *blocks* are not about
recipients and should not be imported; their status is 4.X.X or 5.7.X, and those entries are left
with the reason given on the command line.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from ekiden.errors import RefusedError

_SES: Final = {"bounce": "hard_bounce", "complaint": "complaint"}
_LISTS: Final = ("suppresseddestinationsummaries", "suppresseddestinations", "result", "results")
_MOMENTS: Final = ("at", "created", "lastupdatetime", "created_at")
_JSON_CHARS: Final = 256 * 1024 * 1024


def is_json(line: str) -> bool:
    """Whether a file that begins with this line holds JSON."""
    return line.lstrip("\ufeff \t").startswith(("{", "["))


def objects(first: str, rest: Iterable[str]) -> Iterator[dict[str, str]]:
    """Yield the entries of a JSON file as cells by lower-case name.

    Args:
        first: Its first line.
        rest: The others.

    Raises:
        RefusedError: It is no JSON, or larger than 256 MiB in one piece.
    """
    first = first.removeprefix("\ufeff")
    try:
        if first.strip().endswith("}") and first.lstrip().startswith("{"):
            one = json.loads(first)  # an object a line
            if not _entries(one):
                yield _cells(one)
                for line in rest:
                    if line.strip():
                        yield _cells(json.loads(line))
                return
        yield from map(_cells, _entries(json.loads(_whole(first, rest))))
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"this is no JSON: {error}") from None


def _whole(first: str, rest: Iterable[str]) -> str:
    parts, size = [first], len(first)
    for line in rest:
        size += len(line)
        if size > _JSON_CHARS:
            raise RefusedError("this JSON is too large", remedy="export it as CSV")
        parts.append(line)
    return "".join(parts)


def _entries(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name.casefold() in _LISTS and isinstance(inner, list):
                return inner
    return []


def _cells(value: Any) -> dict[str, str]:
    if isinstance(value, str):
        return {"address": value}
    if not isinstance(value, Mapping):
        return {"address": ""}
    found = {str(name).casefold(): str(inner) for name, inner in value.items() if inner is not None}
    found.setdefault("address", found.get("emailaddress") or found.get("email") or "")
    return found


def meaning(cells: Mapping[str, str]) -> str:
    """Return the reason that another service's entry tells; "" if it tells none."""
    said = cells.get("reason", "").strip().casefold()
    if said in _SES:
        return _SES[said]
    status = cells.get("status", "").strip()
    if status.startswith("5.") and not status.startswith("5.7."):
        return "hard_bounce"
    return "complaint" if "ip" in cells and "status" not in cells else ""


def moment(cells: Mapping[str, str]) -> str:
    """Return when an entry was made, as ISO 8601; "" if it does not tell."""
    text = next((cells[name].strip() for name in _MOMENTS if cells.get(name, "").strip()), "")
    try:
        number = float(text)
    except ValueError:
        return text
    try:
        return datetime.fromtimestamp(number, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return ""
