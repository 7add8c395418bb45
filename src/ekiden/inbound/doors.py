"""Which addresses take mail, and what takes it.

Signed return addresses and the configured feedback addresses lead to the intake. Whatever else
should one day take mail (unsubscribing by mail) is one more entry of `others`: an address and a
function; the listener need not know.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeAlias

from ekiden.errors import RefusedError
from ekiden.inbound.intake import Intake, Outcome
from ekiden.lists.suppression import address_key

Taker: TypeAlias = Callable[[bytes, str, float], Awaitable[object]]


class Doors:
    """Finds who takes the mail of an address.

    Args:
        intake: Takes returned mail.
        feedback: Addresses to which feedback and abuse reports come.
        others: More addresses, each with what takes their mail.

    Raises:
        RefusedError: One of the addresses is none.
    """

    def __init__(
        self, intake: Intake, feedback: Iterable[str], others: Mapping[str, Taker] | None = None
    ) -> None:
        self._intake = intake
        self._takers: dict[str, Taker] = {address_key(one): intake.take for one in feedback}
        self._takers |= {address_key(one): taker for one, taker in (others or {}).items()}

    def find(self, rcpt: str, now: float) -> Taker | None:
        """Return what takes mail for an address; None if nothing does, and that is counted.

        Args:
            rcpt: The address in RCPT TO.
            now: UNIX seconds.
        """
        try:
            taker = self._takers.get(address_key(rcpt))
        except RefusedError:
            self._intake.refused(Outcome.REFUSED)
            return None
        if taker is not None:
            return taker
        return self._intake.take if self._intake.expects(rcpt, now) else None
