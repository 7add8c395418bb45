"""The sections about HTTP: pages and links for recipients, and what is tracked."""

from ipaddress import ip_network
from typing import Annotated, Literal

import msgspec

from ekiden.config.keys import Key
from ekiden.config.places import HttpListen, Network


class Signup(msgspec.Struct, frozen=True, kw_only=True):
    """Sign-up forms: a page per list, and the confirmation mail that it sends."""

    lists: Annotated[
        tuple[str, ...],
        Key(
            "The contact lists that people may sign up for; empty: none.",
            why="A form that anybody may fill in sends mail in your name.",
            example='["customers"]',
        ),
    ] = ()
    sender: Annotated[
        str,
        Key("The From header of confirmation mails.", example='"Example News <news@example.com>"'),
    ] = ""
    lifetime: Annotated[
        float,
        Key(
            "How long the link in a confirmation mail works.",
            why="As with identities: a day later nobody remembers having asked.",
            unit="duration",
            minimum=600.0,
        ),
    ] = 86_400.0
    per_hour: Annotated[
        int,
        Key(
            "Confirmation mails per hour that one client (IPv6: one /64) may cause.",
            why="A form is also a way to annoy others.",
            minimum=1,
            maximum=10_000,
        ),
    ] = 10


class Admin(msgspec.Struct, frozen=True, kw_only=True):
    """The admin API, metrics and the dashboard, on a listener of their own (docs/web.md)."""

    listen: Annotated[
        tuple[HttpListen, ...],
        Key(
            "Where the admin part listens; empty: nowhere.",
            why="It can send mail in your name: keep it on this machine, behind a proxy that "
            "speaks TLS, or in a private network. Every request needs a token (ekiden tokens).",
            example='["127.0.0.1:8081"]',
        ),
    ] = ()
    requests: Annotated[
        int, Key("Requests per minute of one token.", minimum=1, maximum=10_000_000)
    ] = 6000
    session: Annotated[
        float,
        Key("How long somebody stays logged in at the dashboard.", unit="duration", minimum=60.0),
    ] = 43_200.0


class Web(msgspec.Struct, frozen=True, kw_only=True):
    """HTTP: what recipients meet: leaving, choosing, links, sign-up (docs/web.md)."""

    public_url: Annotated[
        str,
        Key(
            "The address of the public part as recipients reach it; without it no links are made.",
            why="On a domain of your own: links and sender then belong together.",
            example='"https://news.example.com"',
        ),
    ] = ""
    public_listen: Annotated[
        tuple[HttpListen, ...],
        Key(
            "Where the public part listens, behind a proxy that speaks TLS; empty: nowhere.",
            example='["127.0.0.1:8080"]',
        ),
    ] = ()
    proxies: Annotated[
        tuple[Network, ...],
        Key(
            "The proxies whose X-Forwarded-For is believed.",
            why="From anybody else it would let a client choose its own address; without it, all "
            "clients behind a proxy would share one client's limits.",
            example='["10.0.0.5/32"]',
        ),
    ] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    brand: Annotated[
        str, Key("Your name on the pages; empty: the sender's domain.", example='"Example News"')
    ] = ""
    color: Annotated[str, Key("The colour of buttons and headings, as #rrggbb.")] = "#1a56a0"
    footer: Annotated[
        str,
        Key(
            "A line at the foot of every page: who you are and where complaints go.",
            example='"Example Ltd., 1-2-3 Chiyoda, Tokyo; complaints: abuse@example.com"',
        ),
    ] = ""
    language: Annotated[
        Literal["auto", "en", "ja"],
        Key("The language of the pages; auto: what the browser asks for."),
    ] = "auto"
    requests: Annotated[
        int,
        Key(
            "Requests per minute from one client (IPv6: one /64) to the public pages and forms.",
            why="Images and redirects are not limited: mail providers fetch them for millions.",
            minimum=1,
            maximum=1_000_000,
        ),
    ] = 120
    signup: Annotated[Signup, Key("Sign-up forms.")] = Signup()
    admin: Annotated[Admin, Key("The admin part.")] = Admin()


class TrackingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Opens and clicks of bulk mail; jobs and sets may say otherwise. It needs web.public_url."""

    opens: Annotated[
        bool,
        Key(
            "Add a picture of one pixel to HTML mail, to see that it was opened.",
            why="Transactional mail is not tracked unless its job or its set says so.",
        ),
    ] = True
    clicks: Annotated[bool, Key("Lead links by way of public_url, to see what is clicked.")] = True
    privacy: Annotated[
        Literal["persons", "totals"],
        Key(
            "Whether it is kept who opened and clicked, or only how often that happened.",
            why="Totals name nobody, so they need nobody's consent.",
        ),
    ] = "persons"
    keep_ip: Annotated[
        bool,
        Key(
            "Keep the address that an open or a click came from.",
            why="It is personal data, and tells little that the user agent does not.",
        ),
    ] = False
