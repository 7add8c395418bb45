"""The sections about what comes back: returned mail, and the rates it adds up to."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ekiden.config.keys import Key
from ekiden.config.places import Listen

_DAY = 86_400.0


class Imap(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox that bounces go to, when your MX is another server: it is asked for new mail."""

    host: Annotated[
        str, Key("The server; empty: no mailbox is asked.", example='"imap.example.com"')
    ] = ""
    port: Annotated[int, Key("Its port.", minimum=1, maximum=65_535)] = 993
    tls: Annotated[
        Literal["implicit", "starttls", "off"],
        Key(
            "TLS from the start, after STARTTLS, or none; the certificate is checked.",
            why='"off" is for a server on this machine: the password would travel in the clear.',
        ),
    ] = "implicit"
    user: Annotated[str, Key("The user.", example='"bounces@example.com"')] = ""
    password_file: Annotated[
        Path | None,
        Key(
            "A file that holds the password in its first line, readable by you alone.",
            why="A password in this file would be shown, copied and committed with it.",
            example='"imap.password"',
        ),
    ] = None
    folder: Annotated[str, Key("The folder that is read.")] = "INBOX"
    done: Annotated[
        str,
        Key(
            "The folder that read mail is moved to; empty: it stays, flagged as seen.",
            why="You may want to look at what was taken.",
            example='"Taken"',
        ),
    ] = ""
    interval: Annotated[
        float,
        Key(
            "How long to wait between two looks.",
            why="Most bounces come within minutes; a campaign should hear of them while it runs.",
            unit="duration",
            minimum=1.0,
        ),
    ] = 60.0


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """Mail that comes back: bounces and feedback reports (docs/inbound.md)."""

    listen: Annotated[
        tuple[Listen, ...],
        Key(
            "Where to listen for returned mail; empty: nowhere.",
            why="Whoever has no MX of its own for this feeds `ekiden inbound` or a mailbox.",
            example='["0.0.0.0:25", "[::]:25"]',
        ),
    ] = ()
    return_domain: Annotated[
        str,
        Key(
            "The domain of signed return addresses; its MX is this listener. Empty: the job's own "
            "return path is used, and only returned headers tell whom a bounce is about.",
            why="SPF is checked against it, and DMARC if it belongs to the From domain.",
            unit="host",
            example='"bounce.example.com"',
        ),
    ] = ""
    lifetime: Annotated[
        float,
        Key(
            "How long a return address is valid.",
            why="Bounces come within a week, complaints within a month.",
            unit="duration",
            minimum=_DAY,
            maximum=400 * _DAY,
        ),
    ] = 30 * _DAY
    keys: Annotated[
        Path | None,
        Key(
            "The file of the secrets that sign; made on first start. Unset: beside the queue.",
            why="`ekiden inbound rotate` puts a new one in front; old ones verify on.",
            example='"return.keys"',
        ),
    ] = None
    feedback: Annotated[
        tuple[str, ...],
        Key(
            "Addresses that take feedback and abuse reports, besides return addresses.",
            why="Providers send complaints to the one address that you registered.",
            example='["fbl@bounce.example.com", "postmaster@bounce.example.com"]',
        ),
    ] = ()
    tls_certificate: Annotated[
        Path | None,
        Key("The certificate chain (PEM) for STARTTLS; unset: none.", example='"tls/chain.pem"'),
    ] = None
    tls_key: Annotated[Path | None, Key("Its private key (PEM).", example='"tls/key.pem"')] = None
    size: Annotated[
        int,
        Key(
            "The largest message that is taken.",
            why="Bounces return the whole message sometimes.",
            unit="size",
            minimum=65_536,
        ),
    ] = 10_000_000
    connections: Annotated[int, Key("Connections at once.", minimum=1, maximum=10_000)] = 200
    connections_per_peer: Annotated[
        int,
        Key(
            "Connections at once from one address (IPv6: one /64).",
            why="Nobody sends bounces over twenty connections.",
            minimum=1,
            maximum=10_000,
        ),
    ] = 20
    idle: Annotated[
        float,
        Key(
            "How long a connection may be silent, and a message take to come in.",
            unit="duration",
            minimum=1.0,
        ),
    ] = 60.0
    session: Annotated[
        float, Key("How long a connection may last.", unit="duration", minimum=1.0)
    ] = 600.0
    imap: Annotated[Imap, Key("A mailbox that is asked for bounces.")] = Imap()


class Reputation(msgspec.Struct, frozen=True, kw_only=True):
    """When bounces and complaints stop a sender, a source, a provider, a set or a job."""

    volume: Annotated[
        int,
        Key(
            "How many deliveries a rate is over: the last one to two times this many.",
            why="A share of all mail, whatever time it took, as Amazon SES counts.",
            minimum=100,
            maximum=100_000_000,
        ),
    ] = 10_000
    least: Annotated[
        int,
        Key(
            "The deliveries below which nobody is judged.",
            why="One bounce of ten is no sign of anything.",
            minimum=1,
            maximum=100_000_000,
        ),
    ] = 1_000
    healthy_bounces: Annotated[
        float, Key("Bounces below this share are healthy.", minimum=0.0, maximum=1.0)
    ] = 0.02
    healthy_complaints: Annotated[
        float, Key("Complaints below this share are healthy.", minimum=0.0, maximum=1.0)
    ] = 0.001
    warn_bounces: Annotated[
        float,
        Key(
            "Bounces from this share on are warned about.",
            why="Amazon SES puts an account under review there.",
            minimum=0.0,
            maximum=1.0,
        ),
    ] = 0.05
    warn_complaints: Annotated[
        float, Key("Complaints from this share on are warned about.", minimum=0.0, maximum=1.0)
    ] = 0.001
    stop_bounces: Annotated[
        float,
        Key(
            "Bounces from this share on stop sending until `ekiden reputation resume`.",
            why="Amazon SES pauses there; receivers block.",
            minimum=0.0,
            maximum=1.0,
        ),
    ] = 0.10
    stop_complaints: Annotated[
        float, Key("Complaints from this share on stop sending.", minimum=0.0, maximum=1.0)
    ] = 0.005
    job_first: Annotated[
        int,
        Key(
            "A job is stopped when so many bounces have come that its first deliveries, as many as "
            "this, will be over stop_bounces.",
            why="A bought list shows within its first thousand.",
            minimum=10,
            maximum=100_000_000,
        ),
    ] = 1_000
