"""The mail that verifies an address: a code, and a link where there is a page that takes it."""

import hashlib

import msgspec

from ekiden.lists.suppression import address_key
from ekiden.message.addresses import parse_address
from ekiden.message.content import Content, encode
from ekiden.queue.model import NewDelivery, NewJob, Priority

LIFETIME = 86_400.0  # as the code's own: a later mail is of no use

_TEXT = """\
Somebody, probably you, wants to send mail as {{ address }} from this system.
If it was you, {% if link %}open this link within 24 hours:

  {{ link }}

or {% endif %}give the code within 24 hours to: ekiden identities confirm CODE

  {{ code }}

If it was not you, do nothing; nothing will be sent in your name.

----

このメールアドレス（{{ address }}）を差出人として使うための確認です。
お心当たりがあれば、24 時間以内に上の{% if link %}リンクを開くか、{% endif %}
コードを入力してください。
お心当たりがなければ、何もする必要はありません。
"""


def confirmation(
    address: str, code: str, sender: str, link: str, now: float
) -> tuple[NewJob, NewDelivery]:
    """Return the job and its one delivery.

    Args:
        address: The identity to be verified.
        code: The code.
        sender: The From address.
        link: The page that takes the code; "" for none.
        now: UNIX seconds.

    Raises:
        AddressError: The sender is no address.
    """
    own = parse_address(sender)
    content = Content(
        from_=own.spec,
        subject="Confirm that {{ address }} is yours / 差出人アドレスの確認",
        text=_TEXT,
        defaults={"link": ""},
        on_missing="default",
        headers=(("Auto-Submitted", "auto-generated"),),  # RFC 3834 section 5
    )
    merge = {"address": address, "code": code, "link": link}
    job = NewJob(
        uid=f"identity:{hashlib.sha256(code.encode()).hexdigest()[:32]}",
        name=f"verify {address}"[:100],
        mail_from=own.spec,
        from_domain=own.domain,
        content=encode(content),
        created_at=now,
        expires_at=now + LIFETIME,
        priority=Priority.TRANSACTIONAL,
    )
    key = address_key(address)
    return job, NewDelivery(key, key.rpartition("@")[2], msgspec.json.encode(merge))
