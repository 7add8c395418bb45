"""The section `[dkim]`: the keys that sign, and the threads that do it."""

from pathlib import Path
from typing import Annotated

import msgspec

from ekiden.config.keys import Key


class DkimKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that signs; `ekiden dkim keygen` makes one. Several of one domain all sign."""

    domain: Annotated[
        str,
        Key(
            "The signing domain (d=): that of the From header.",
            unit="host",
            example='"example.com"',
        ),
    ]
    selector: Annotated[
        str,
        Key("The selector (s=) its record is published under.", unit="host", example='"mail2025"'),
    ]
    file: Annotated[
        Path,
        Key(
            "The private key (PEM, RSA or Ed25519), readable by the daemon's user alone.",
            example='"dkim/example.com.mail2025.pem"',
        ),
    ]
    expire: Annotated[
        float | None,
        Key(
            "How long a signature is valid (x=); unset: for ever.",
            why="A limit bounds replay (RFC 6376 section 8.6), but must outlast delayed mail.",
            unit="duration",
            minimum=3600.0,
            example='"14d"',
        ),
    ] = None


class Dkim(msgspec.Struct, frozen=True, kw_only=True, rename={"keys": "key"}):
    """Signatures (RFC 6376, RFC 8463)."""

    threads: Annotated[
        int,
        Key(
            "Threads that sign beside the event loop; 0 means one per core. Where signatures are "
            "made one by one and two or more are busy, the loop signs too; with 1 it never does.",
            why="An RSA-2048 signature takes most of a millisecond and does not hold the GIL.",
            minimum=0,
            maximum=256,
        ),
    ] = 0
    keys: Annotated[tuple[DkimKey, ...], Key("The keys.")] = ()
