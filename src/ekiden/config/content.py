"""The sections about what mail says: how content is made, and what it is checked for."""

from typing import Annotated, Literal

import msgspec

from ekiden.config.keys import Key


class ContentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the content of jobs is made, where neither the job nor its template says."""

    on_missing: Annotated[
        Literal["refuse", "empty", "default"],
        Key(
            "What a merge field without value does: refuse that recipient, print nothing, or take"
            " the job's default.",
            why='A mail that begins with "Dear ," is worse than one that is not sent.',
        ),
    ] = "refuse"
    inline_css: Annotated[
        bool,
        Key(
            "Copy the rules of style sheets into the style attributes of the HTML.",
            why="Some mail programs read no style sheets; off, since it makes the HTML larger.",
        ),
    ] = False


class LintSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What `ekiden lint` looks at, and whether a job is refused for it (docs/lint.md)."""

    refuse: Annotated[
        Literal["never", "error"],
        Key(
            "Refuse a job whose content has errors when it is taken.",
            why="Lint first tells; you decide when it decides.",
        ),
    ] = "never"
    rows: Annotated[
        int,
        Key(
            "How many of a job's first recipients are rendered and looked at.",
            why="The template is checked as a whole; a few rows show what merge data do to it.",
            minimum=1,
            maximum=100,
        ),
    ] = 3
    laws: Annotated[
        tuple[Literal["jp", "us", "eu"], ...],
        Key(
            "Whose law bulk mail is held to; empty: Japan's for Japanese text, CAN-SPAM and GDPR"
            " for other.",
            example='["jp", "eu"]',
        ),
    ] = ()
    sender: Annotated[
        str,
        Key(
            "Your registered name, which bulk mail must show; empty: a name is looked for by its"
            " wording.",
            why="特定電子メール法 art. 4 no. 1 asks for the legal name, not a brand.",
            example='"株式会社駅伝"',
        ),
    ] = ""
    size: Annotated[
        int,
        Key(
            "The largest HTML part.",
            why="Gmail cuts a message at 102 KB, and the way to leave is at its end.",
            unit="size",
            minimum=1024,
        ),
    ] = 102_000
    urls: Annotated[
        int,
        Key(
            "The most different addresses that a message links to.",
            why="Filters count them; people follow one.",
            minimum=1,
            maximum=10_000,
        ),
    ] = 50
    subject: Annotated[
        int,
        Key(
            "The longest subject in columns; a wide character takes two.",
            why="Mailbox lists show 40 to 80 of them.",
            minimum=10,
            maximum=1000,
        ),
    ] = 100
    errors: Annotated[
        tuple[str, ...],
        Key("Findings that are errors here, by code.", example='["no-text"]'),
    ] = ()
    warnings: Annotated[
        tuple[str, ...],
        Key("Findings that are warnings here.", example='["link-insecure"]'),
    ] = ()
    infos: Annotated[
        tuple[str, ...],
        Key("Findings that are only told.", example='["image-alt"]'),
    ] = ()
    off: Annotated[
        tuple[str, ...],
        Key("Findings that are not looked for.", example='["from-noreply"]'),
    ] = ()
