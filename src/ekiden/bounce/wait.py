"""How long a reply asks to wait: `try again in 5 minutes`, `greylisted for 300 seconds`."""

import re
from typing import Final

LONGEST: Final = 7 * 86_400.0  # what a receiver may ask at most; more is taken for an error

_UNITS: Final = (
    (1, ("s", "sec", "secs", "second", "seconds", "seconde", "secondes", "sekunden", "segundos")),
    (60, ("m", "min", "mins", "minute", "minutes", "minuten", "minutos", "minuti")),
    (3600, ("h", "hr", "hrs", "hour", "hours", "heure", "heures", "stunde", "stunden", "horas")),
    (86_400, ("d", "day", "days", "jour", "jours", "tag", "tagen", "tage", "dias", "giorni")),
)
_SECONDS: Final = {name: seconds for seconds, names in _UNITS for name in names}
# Only a time that is asked for counts: `not delivered after 5 days` asks for nothing.
_ASKS: Final = (
    r"again|retry|retrying|retried|resend|wait|later|back|reconnect|gr[ea]ylist\w*|gr[ea]y"
    r"|erneut|spater|reessay\w*|intente\w*|intentar|tente|novamente|riprova\w*|throttl\w*|limited"
    r"|blocked|deferred|delayed|delay|expires?|minimum|remaining|left"
)
_NAMES: Final = "|".join(sorted(_SECONDS, key=len, reverse=True))
_BEFORE: Final = re.compile(rf" (?:{_ASKS})(?: \w+){{0,6}}? (\d{{1,6}}) ?({_NAMES}) ")
_CLOCK: Final = re.compile(
    r"(?:again|retry|wait|later|greylist\w*|after|in)\W{1,3}(?:in |after |at least )?"
    r"(\d{1,2}):([0-5]\d):([0-5]\d)(?![:\d])",
    re.IGNORECASE,
)
_TIME: Final = re.compile(r"\d:[0-5]\d:[0-5]\d")
_PACKED: Final = re.compile(r"\d(?:s|secs?|m|mins?|h|hrs?) ")
_UNIT_NAMES: Final = frozenset(_SECONDS)


def asked(text: str, words: frozenset[str], reply: str) -> float | None:
    """Return the seconds that the reply asks to wait; None if it does not say.

    Args:
        text: The normalised text.
        words: Its words.
        reply: The reply as received, for times written with colons.
    """
    if not words.isdisjoint(_UNIT_NAMES) or _PACKED.search(text):
        found = _BEFORE.search(text)
        if found is not None:
            return min(float(found.group(1)) * _SECONDS[found.group(2)], LONGEST)
    if _TIME.search(reply):
        clock = _CLOCK.search(reply[:2048])
        if clock is not None:
            hours, minutes, seconds = (int(part) for part in clock.groups())
            return min(float(hours * 3600 + minutes * 60 + seconds), LONGEST)
    return None
