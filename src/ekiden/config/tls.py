"""The section `[tls]`: encryption towards the receivers, by destination and by mail exchanger."""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

from ekiden.config.keys import Key

TlsPolicy: TypeAlias = Literal["off", "opportunistic", "required", "verified"]


class TlsDestination(msgspec.Struct, frozen=True, kw_only=True):
    """Another TLS policy for some destinations; the first pattern that matches decides."""

    pattern: Annotated[
        str,
        Key(
            "The destinations: a domain, or *.domain for those below it.",
            unit="pattern",
            example='"bank.example"',
        ),
    ]
    policy: Annotated[TlsPolicy, Key("Their policy.", example='"verified"')]


class TlsSite(msgspec.Struct, frozen=True, kw_only=True):
    """Another TLS policy for the mail exchangers of some sites; the first that matches decides."""

    mx: Annotated[
        str,
        Key(
            "The mail exchangers: a host, or *.domain for those below it.",
            unit="pattern",
            example='"*.mx.example"',
        ),
    ]
    policy: Annotated[TlsPolicy, Key("Their policy.", example='"required"')]


class Tls(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={"destinations": "destination", "sites": "site"},
):
    """Encryption towards the receivers (STARTTLS, RFC 3207)."""

    policy: Annotated[
        TlsPolicy,
        Key(
            '"off"; "opportunistic": when offered; "required": or the delivery waits; "verified": '
            "required, with a certificate that is valid for the host.",
            why="Most receivers offer TLS with certificates that name something else.",
        ),
    ] = "opportunistic"
    ca_file: Annotated[
        Path | None,
        Key(
            "The certificate authorities that verified sessions trust; unset: the system's.",
            example='"/etc/ssl/certs/ca-certificates.crt"',
        ),
    ] = None
    destinations: Annotated[
        tuple[TlsDestination, ...], Key("Policies by destination; they pass those by site.")
    ] = ()
    sites: Annotated[tuple[TlsSite, ...], Key("Policies by mail exchanger.")] = ()
