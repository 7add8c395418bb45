"""From the configuration's words to the options of each room: one function per room, no decisions.

Rooms define their own small option types and know nothing of the file; the file knows nothing of
them. Here they meet, a file for each subject. A file is loaded when one of its functions is first
asked for: with its rooms it is much, and a command needs one or two of them.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ekiden.settings.delivery import engine, retry_policy, scheduling
    from ekiden.settings.egress import (
        dialling,
        hostname,
        resolver,
        routes_without_passwords,
        source_facts,
        sources,
    )
    from ekiden.settings.jobs import SETTABLE_REASONS, check_job, completed, lint_options, sets
    from ekiden.settings.pacing import hours, pacing_facts, reputation, set_reputations, warmup
    from ekiden.settings.restart import needs_restart
    from ekiden.settings.returned import (
        classifier,
        imap,
        listener,
        provider_of,
        returned_mail,
    )
    from ekiden.settings.signing import identifiers, keys, return_keys, signers, tokens
    from ekiden.settings.storage import database, intake, queue, spool_owners
    from ekiden.settings.web import (
        admin,
        admin_server,
        confirming,
        links,
        public_server,
        site,
        unsubscribe_address,
    )

__all__ = [
    "SETTABLE_REASONS",
    "admin",
    "admin_server",
    "check_job",
    "classifier",
    "completed",
    "confirming",
    "database",
    "dialling",
    "engine",
    "hostname",
    "hours",
    "identifiers",
    "imap",
    "intake",
    "keys",
    "links",
    "lint_options",
    "listener",
    "needs_restart",
    "pacing_facts",
    "provider_of",
    "public_server",
    "queue",
    "reputation",
    "resolver",
    "retry_policy",
    "return_keys",
    "returned_mail",
    "routes_without_passwords",
    "scheduling",
    "set_reputations",
    "sets",
    "signers",
    "site",
    "source_facts",
    "sources",
    "spool_owners",
    "tokens",
    "unsubscribe_address",
    "warmup",
]

_PLACES: Final = {
    "delivery": ("engine", "retry_policy", "scheduling"),
    "egress": (
        "dialling",
        "hostname",
        "resolver",
        "routes_without_passwords",
        "source_facts",
        "sources",
    ),
    "jobs": ("SETTABLE_REASONS", "check_job", "completed", "lint_options", "sets"),
    "pacing": ("hours", "pacing_facts", "reputation", "set_reputations", "warmup"),
    "restart": ("needs_restart",),
    "returned": (
        "classifier",
        "imap",
        "listener",
        "provider_of",
        "returned_mail",
    ),
    "signing": ("identifiers", "keys", "return_keys", "signers", "tokens"),
    "storage": ("database", "intake", "queue", "spool_owners"),
    "web": (
        "admin",
        "admin_server",
        "confirming",
        "links",
        "public_server",
        "site",
        "unsubscribe_address",
    ),
}


def __getattr__(name: str) -> Any:
    for place, names in _PLACES.items():
        if name in names:
            found = globals()[name] = getattr(
                importlib.import_module(f"ekiden.settings.{place}"), name
            )
            return found
    raise AttributeError(f"there are no settings called {name!r}", name=name)
