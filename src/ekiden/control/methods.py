"""Every request that the daemon knows, by the method that names it on the wire."""

from typing import Any, Final

import msgspec

from ekiden.control.forecast_requests import FORECAST_REQUESTS
from ekiden.control.insight_requests import INSIGHT_REQUESTS
from ekiden.control.list_requests import LIST_REQUESTS
from ekiden.control.pacing_requests import PACING_REQUESTS
from ekiden.control.reaction_requests import REACTION_REQUESTS
from ekiden.control.requests import BASIC_REQUESTS, Listing, Question
from ekiden.control.template_requests import TEMPLATE_REQUESTS
from ekiden.control.token_requests import TOKEN_REQUESTS
from ekiden.control.wire import Call, WireError

REQUESTS: Final[dict[str, type[Any]]] = {
    **BASIC_REQUESTS,
    **LIST_REQUESTS,
    **TEMPLATE_REQUESTS,
    **PACING_REQUESTS,
    **REACTION_REQUESTS,
    **TOKEN_REQUESTS,
    **INSIGHT_REQUESTS,
    **FORECAST_REQUESTS,
}


def request_of(call: Call) -> Question[Any] | Listing[Any]:
    """Return the request a call makes.

    Raises:
        WireError: There is no such request, or its arguments are wrong.
    """
    kind = REQUESTS.get(call.method)
    if kind is None:
        raise WireError(
            "the daemon does not know this request",
            where=call.method[:100],
            remedy="the command and the daemon differ in version: restart the daemon",
        )
    try:
        request = msgspec.json.decode(call.args, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"the arguments are wrong: {error}", where=call.method) from None
    assert isinstance(request, Question | Listing)  # noqa: S101 - what REQUESTS holds
    return request
