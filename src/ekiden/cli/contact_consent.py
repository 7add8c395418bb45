"""The options of `ekiden contacts` that say how somebody agreed, and the consent they describe."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ekiden.lists.model import Consent

Source = Annotated[
    str, typer.Option("--source", help="Where they agreed; kept.", show_default=False)
]
MethodName = Annotated[
    str,
    typer.Option(
        "--method",
        help="How they agreed: single, confirmed, written, business, published.",
        show_default=False,
    ),
]
Form = Annotated[
    Path | None,
    typer.Option("--form", help="A file with the words they agreed to.", show_default=False),
]
At = Annotated[str, typer.Option("--at", help="When (ISO 8601); else now.", show_default=False)]
Ip = Annotated[str, typer.Option("--ip", help="From which address.", show_default=False)]


def consent_of(source: str, method: str, form: Path | None, at: str, ip: str) -> "Consent | None":
    """Return the consent that the options describe; None when they name no method."""
    import time  # noqa: PLC0415 - help must not wait for it

    from ekiden.cli.contact_files import moment_of  # noqa: PLC0415
    from ekiden.errors import NotFoundError  # noqa: PLC0415
    from ekiden.lists.model import Consent, Method  # noqa: PLC0415

    if not method:
        if source or form or at or ip:
            raise typer.BadParameter("a consent needs its method", param_hint="--method")
        return None
    try:
        when = moment_of(at) if at else time.time()
    except ValueError:
        raise typer.BadParameter("expected a time in ISO 8601", param_hint="--at") from None
    if method not in set(Method):
        raise typer.BadParameter(f"expected one of {', '.join(Method)}", param_hint="--method")
    try:
        words = form.read_text(encoding="utf-8") if form else ""
    except OSError as error:
        raise NotFoundError(f"cannot be read: {error.strerror}", where=str(form)) from None
    return Consent(at=when, method=Method(method), source=source, form=words, ip=ip)
