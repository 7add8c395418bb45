"""A forecast in a sentence, and times as people write them. Pure."""

from datetime import UTC, datetime

import msgspec

from ekiden.forecast.model import Forecast

_DAY = 86_400.0


def clock(at: float | None, near: float) -> str:
    """Return a time as the local clock shows it, with its date when that is not today's."""
    if at is None:
        return "not within two months"
    local = datetime.fromtimestamp(at, UTC).astimezone()
    today = datetime.fromtimestamp(near, UTC).astimezone()
    return local.strftime("%H:%M" if local.date() == today.date() else "%Y-%m-%d %H:%M")


def finished(forecast: Forecast) -> Forecast:
    """Return a forecast with its sentence."""
    return msgspec.structs.replace(forecast, words=sentence(forecast))


def sentence(forecast: Forecast) -> str:
    """Return what a person wants to know first."""
    whole, near = forecast.whole, forecast.at
    start = "now" if forecast.start <= near + 1 else f"at {clock(forecast.start, near)}"
    if forecast.deliver_by is None or whole.in_time is None:
        if whole.end is None:
            return f"started {start}, it will not be done within two months"
        half, end = clock(whole.half, near), clock(whole.end, near)
        return f"started {start}, half of it is there by {half} and all of it by {end}"
    deadline = clock(forecast.deliver_by, near)
    share = _percent(whole.in_time)
    told = f"started {start}, {share} of it is there by {deadline}{_last(forecast)}"
    if not forecast.searched:
        return told
    if forecast.latest_start is None:
        return f"{told}; no start of the last week would reach {_percent(forecast.reach)}"
    latest = clock(forecast.latest_start, near)
    if forecast.latest_start < near - 1:
        return f"{told}; it had to start by {latest} to reach {_percent(forecast.reach)}"
    return f"{told}; start by {latest} to reach {_percent(forecast.reach)}"


def _last(forecast: Forecast) -> str:
    """Return what is to be said of the set that fares worst, where it is late."""
    worst = min(forecast.sets, key=lambda one: one.in_time or 0.0, default=None)
    if worst is None or worst.in_time is None or worst.in_time >= forecast.reach:
        return ""
    return f" ({_percent(worst.in_time)} of set {worst.name or 'default'})"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share in {0.0, 1.0} else f"{min(99, 100 * share):.0f} %"
