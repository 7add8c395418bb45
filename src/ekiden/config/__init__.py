"""The configuration: typed, frozen, documented in one place, refused with line and remedy.

`load(path)` returns a `Config`; `example()` is the complete `config.toml`. A room takes
its options as arguments, which `settings` makes of a `Config`.
"""

from ekiden.config.checking import Check
from ekiden.config.egress import Pool, Route, Source
from ekiden.config.eventing import (
    EventAmqp,
    EventCommand,
    EventDestination,
    EventFile,
    EventKafka,
    Events,
    EventType,
    EventWebhook,
)
from ekiden.config.limits import DestinationLimits, Limits, SiteLimits
from ekiden.config.load import BadConfigError, Problem, load, loads
from ekiden.config.pattern import first_match, matches, wrong_pattern
from ekiden.config.places import Address, HttpListen, Listen, Nameserver, Network
from ekiden.config.render import example, reference, show
from ekiden.config.returning import Imap, Inbound, Reputation
from ekiden.config.schema import (
    Bounce,
    Config,
    Control,
    Identities,
    Log,
    QueueSettings,
    Spool,
)
from ekiden.config.sending import Backoff, Delivery, Dns
from ekiden.config.sets import ConfigurationSet
from ekiden.config.signing import Dkim, DkimKey
from ekiden.config.tls import Tls, TlsDestination, TlsPolicy, TlsSite
from ekiden.config.units import Rate
from ekiden.config.web import Admin, Signup, TrackingSettings, Web

__all__ = [
    "Address",
    "Admin",
    "Backoff",
    "BadConfigError",
    "Bounce",
    "Check",
    "Config",
    "ConfigurationSet",
    "Control",
    "Delivery",
    "DestinationLimits",
    "Dkim",
    "DkimKey",
    "Dns",
    "EventAmqp",
    "EventCommand",
    "EventDestination",
    "EventFile",
    "EventKafka",
    "EventType",
    "EventWebhook",
    "Events",
    "HttpListen",
    "Identities",
    "Imap",
    "Inbound",
    "Limits",
    "Listen",
    "Log",
    "Nameserver",
    "Network",
    "Pool",
    "Problem",
    "QueueSettings",
    "Rate",
    "Reputation",
    "Route",
    "Signup",
    "SiteLimits",
    "Source",
    "Spool",
    "Tls",
    "TlsDestination",
    "TlsPolicy",
    "TlsSite",
    "TrackingSettings",
    "Web",
    "example",
    "first_match",
    "load",
    "loads",
    "matches",
    "reference",
    "show",
    "wrong_pattern",
]
