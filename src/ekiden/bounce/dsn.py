"""RFC 3464: the fields of a `message/delivery-status` part, as the world writes them. Pure.

The standard wants one group of fields about the message and one per recipient, with a blank line
between. What comes has blank lines inside groups, none between them, addresses without a type,
encoded parts and fields pasted into free text; so groups are told by the recipient field that opens
each, and blank lines only help.
"""

import re
from dataclasses import dataclass
from typing import Final

RECIPIENTS: Final = 100  # of one report
_FIELD: Final = re.compile(r"\s{0,3}>?\s?([A-Za-z][A-Za-z0-9-]{2,60})[ \t]*:[ \t]*(.*)")
_KNOWN: Final = frozenset(
    {
        "reporting-mta", "dsn-gateway", "received-from-mta", "arrival-date", "original-envelope-id",
        "original-recipient", "final-recipient", "action", "status", "remote-mta",
        "diagnostic-code", "last-attempt-date", "final-log-id", "will-retry-until",
        "x-actual-recipient", "x-original-message-id", "x-display-name", "x-supplementary-info",
        "localized-diagnostic-code", "diagnostic-remote-mta", "x-error",
    }
)  # fmt: skip
_STATUS: Final = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?!\.?\d)")
_TYPE: Final = re.compile(r"^\s*[A-Za-z0-9-]{1,40}\s*;\s*")
_XTEXT: Final = re.compile(r"\+([0-9A-F]{2})")
_ADDRESS: Final = re.compile(r'(?:"[^"\n]{1,128}"|[^\s<>()",;:"]{1,128})@[^\s<>()",;:"]{1,255}')
OPENING: Final = re.compile(
    r"^[ \t>]*(?:Final|Original)-Recipient[ \t]*:", re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one recipient.

    Args:
        address: The address that was mailed: the original recipient, else the final one.
        final: The final recipient; "" if not given.
        action: `failed`, `delayed`, `delivered`, `relayed`, `expanded`; "" if not given.
        status: The status code; "" if there is none that can be read.
        diagnostic: The diagnostic text without its type.
        mta: The host that gave it.
    """

    address: str
    final: str = ""
    action: str = ""
    status: str = ""
    diagnostic: str = ""
    mta: str = ""


def parse(text: str) -> list[Fields]:
    """Read every recipient group in `text`; what is not a field is skipped."""
    groups: list[dict[str, str]] = [{}]
    last = ""
    for line in text.split("\n"):
        found = _FIELD.match(line)
        name = found.group(1).lower() if found else ""
        if found and (name in _KNOWN or name.startswith("x-")):
            if _opens(name, groups[-1]):
                if len(groups) > RECIPIENTS:
                    break
                groups.append({})
            groups[-1].setdefault(name, found.group(2).strip())
            last = name
        elif not line.strip():
            last = ""
        elif last:
            # Folded, or broken by a mailer that forgot to indent.
            joined = f"{groups[-1][last]} {line.strip()}"
            groups[-1][last] = joined[:4096]
    return [one for group in groups if (one := _recipient(group))]


def _opens(name: str, group: dict[str, str]) -> bool:
    """Whether this field belongs to the next recipient."""
    if name == "final-recipient":
        return "final-recipient" in group
    if name == "original-recipient":
        return "original-recipient" in group or ("final-recipient" in group and "status" in group)
    return False


def _recipient(group: dict[str, str]) -> Fields | None:
    final = address_in(group.get("final-recipient", ""))
    original = address_in(_XTEXT.sub(_unhex, group.get("original-recipient", "")))
    address = original or final or address_in(group.get("x-actual-recipient", ""))
    if not address:
        return None
    status = _STATUS.search(group.get("status", ""))
    mta = _TYPE.sub("", group.get("remote-mta", "") or group.get("diagnostic-remote-mta", ""))
    return Fields(
        address=address,
        final=final,
        action=group.get("action", "").partition(" ")[0].strip("();,.").lower(),
        status=status.group() if status else "",
        diagnostic=_TYPE.sub("", group.get("diagnostic-code", "")),
        mta=mta.partition(" ")[0].strip("()[];,").lower(),
    )


def status_in(text: str) -> str:
    """Return the first status code in `text`; "" if there is none."""
    found = _STATUS.search(text)
    return found.group() if found else ""


def address_in(value: str) -> str:
    """Return the address in a field such as `rfc822; <a@example.com>`; "" if there is none."""
    bare = _TYPE.sub("", value[:1024])
    found = _ADDRESS.search(bare)
    if found is None:
        return ""
    return found.group().rstrip(".'`")


def _unhex(found: re.Match[str]) -> str:
    return chr(int(found.group(1), 16))
