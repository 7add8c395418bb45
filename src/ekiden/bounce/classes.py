"""The bounce classes: the field's own names, the status code of each, and the action it leads to.

Names follow the IANA SMTP enhanced status codes registry and RFC 3463 (`bad_mailbox` is X.1.1,
"bad destination mailbox address"); where the registry has no entry, the name says what mail people
say (`greylisted`). One class has one action: whoever knows the class knows what happens. A rule
that needs another action needs another class. Only `unknown` leaves it to the reply code.
"""

from dataclasses import dataclass
from typing import Final

from ekiden.bounce.model import Action

_SUPPRESS = Action.SUPPRESS_RECIPIENT
_RETRY = Action.RETRY_LATER
_THROTTLE = Action.THROTTLE_DESTINATION
_BLOCKED = Action.BLOCKED_REPUTATION
_FIX = Action.FIX_SENDER
_CONTENT = Action.CONTENT_REJECTED
_FULL = Action.MAILBOX_FULL_RETRY
_OTHER = Action.OTHER


@dataclass(frozen=True, slots=True)
class BounceClass:
    """One meaning a reply can have.

    Args:
        name: How it is written in rules, events and reports.
        action: What follows from it.
        status: Where the registry puts it: subject and detail with X for the class; "" if nowhere.
        meaning: One sentence.
    """

    name: str
    action: Action
    status: str
    meaning: str


_ALL: Final = (
    # The recipient
    BounceClass("bad_mailbox", _SUPPRESS, "X.1.1", "The mailbox does not exist."),
    BounceClass("bad_domain", _SUPPRESS, "X.1.2", "The recipient's domain does not exist."),
    BounceClass("bad_syntax", _SUPPRESS, "X.1.3", "The recipient's address is malformed."),
    BounceClass("mailbox_moved", _SUPPRESS, "X.1.6", "The mailbox has moved; no forwarding."),
    BounceClass("null_mx", _OTHER, "X.1.10", "The domain accepts no mail (RFC 7505)."),
    BounceClass("mailbox_disabled", _SUPPRESS, "X.2.1", "The mailbox is disabled or suspended."),
    BounceClass("mailbox_full", _FULL, "X.2.2", "The mailbox is over its quota."),
    BounceClass("recipient_refused", _OTHER, "X.2.0", "The recipient's own filter refused it."),
    BounceClass("ambiguous_mailbox", _RETRY, "X.1.4", "The address fits several mailboxes."),
    BounceClass("expansion_failed", _RETRY, "X.2.4", "A list or forward behind it failed."),
    BounceClass("not_accepting", _OTHER, "X.3.2", "The host or domain takes no mail at present."),
    # Rate
    BounceClass("greylisted", _RETRY, "X.7.1", "Deferred on first sight; a retry is accepted."),
    BounceClass("rate_limited", _THROTTLE, "X.7.28", "Too much mail from this source."),
    BounceClass("mailbox_busy", _THROTTLE, "X.2.121", "This mailbox receives too much mail now."),
    BounceClass("too_many_connections", _THROTTLE, "X.4.5", "Too many sessions at once."),
    BounceClass("session_limit", _THROTTLE, "", "This session has carried as many as it may."),
    BounceClass("too_many_recipients", _THROTTLE, "X.5.3", "Too many recipients in one go."),
    # Reputation
    BounceClass("blocklisted_ip", _BLOCKED, "X.7.1", "The sending address is on a blocklist."),
    BounceClass("reputation", _BLOCKED, "X.7.1", "The source's reputation is too low."),
    # The sender's set-up
    BounceClass("auth_spf", _FIX, "X.7.23", "SPF did not pass."),
    BounceClass("auth_dkim", _FIX, "X.7.20", "No passing DKIM signature."),
    BounceClass("auth_dmarc", _FIX, "X.7.26", "SPF and DKIM both failed, or DMARC refused it."),
    BounceClass("ptr_missing", _FIX, "X.7.25", "Reverse DNS is missing or does not match."),
    BounceClass("helo_invalid", _FIX, "X.5.4", "The EHLO name is not acceptable."),
    BounceClass("bad_sender", _FIX, "X.1.8", "The sender's address or domain is refused."),
    BounceClass("sender_syntax", _FIX, "X.1.7", "The sender's address is malformed."),
    BounceClass("login_required", _FIX, "X.7.0", "The receiver wants SMTP authentication."),
    BounceClass("relay_denied", _FIX, "X.7.1", "The host does not relay for this domain."),
    BounceClass("header_invalid", _FIX, "X.6.0", "The message's header is not RFC 5322."),
    BounceClass("policy", _FIX, "X.7.1", "Refused by the receiver's policy."),
    BounceClass("protocol", _FIX, "X.5.2", "A command or its argument was not understood."),
    BounceClass("tls_required", _RETRY, "X.7.30", "A TLS session is needed, or it failed."),
    # The message
    BounceClass("spam_content", _CONTENT, "X.6.0", "The content was taken for spam."),
    BounceClass("bad_content", _CONTENT, "X.6.1", "The content or a part of it is refused."),
    BounceClass("virus", _CONTENT, "X.7.17", "The content was taken for malware."),
    BounceClass("message_too_large", _CONTENT, "X.3.4", "The message is too large."),
    # The receiver's and the path's trouble
    BounceClass("system_full", _RETRY, "X.3.1", "The receiver's disk is full."),
    BounceClass("system_error", _RETRY, "X.3.0", "The receiver's system has a fault."),
    BounceClass("routing_loop", _RETRY, "X.4.6", "A mail loop, or too many hops."),
    BounceClass("network", _RETRY, "X.4.0", "DNS or network trouble on the way."),
    BounceClass("expired", _RETRY, "X.4.7", "Tried until its time was over."),
    BounceClass("delivery_agent", _RETRY, "X.3.0", "A local program of the receiver failed."),
    BounceClass("temporary", _RETRY, "X.0.0", "A temporary failure of no known kind."),
    # Reports that are no replies
    BounceClass("complaint", _SUPPRESS, "", "The recipient reported it as spam, or opted out."),
    BounceClass("not_spam", _OTHER, "", "The recipient said that it is no spam."),
    BounceClass("auth_report", _FIX, "", "A receiver reports that authentication failed."),
    # Nothing certain
    BounceClass("delivered", _OTHER, "2.0.0", "Accepted."),
    BounceClass("unknown", _OTHER, "", "Not understood: a 4xx is retried."),
)
CLASSES: Final = {one.name: one for one in _ALL}
