"""Bounce and complaint rates, and what follows from them. Pure.

A receiver judges a sender by the share of its mail that bounces or is complained about, so the same
share is watched here, per sender identity, source, provider, configuration set and job, and
sending stops before the receiver stops it. The numbers are those of Amazon SES, the one large
sender that publishes its own: below 2 % bounces and 0.1 % complaints is healthy, from 5 % and 0.1 %
an account is under review, from 10 % and 0.5 % it may be paused (SES developer guide, "Reputation
metrics").

**Volume.** Like SES's, a rate is over a representative volume and not over a period: a sender of
100 a week and one of a million a day are judged by the same amount of mail. `Tally.add` halves all
counts when they pass twice the volume, so a rate is over the last one to two volumes, the newer
part weighing more, in one row per scope. Below `least` deliveries nobody is judged.

**Jobs.** A job is also stopped early, when it is certain that its first thousand deliveries will
bounce too much: as soon as its bounces reach the stopping share of a thousand. A small job never
has so many.

Only bounces that say the mailbox is gone count, as at SES: a full mailbox or a refused message says
nothing about how the addresses were come by.
"""

from dataclasses import dataclass
from enum import StrEnum


class Standing(StrEnum):
    """How a scope stands; the order is from good to bad."""

    HEALTHY = "healthy"
    FAIR = "fair"  # above what is healthy, below a warning
    WARNING = "warning"
    STOPPED = "stopped"  # until a person resumes it

    def worse_than(self, other: "Standing") -> bool:
        """Whether this is a worse standing than `other`."""
        order = list(Standing)
        return order.index(self) > order.index(other)


@dataclass(frozen=True, slots=True)
class ReputationOptions:
    """The thresholds; shares from 0 to 1.

    Args:
        volume: Deliveries that a rate is over.
        least: Deliveries below which nobody is judged.
        healthy_bounces: Below it a scope is healthy;
        healthy_complaints: and below this.
        warn_bounces: From here on it is warned about.
        warn_complaints: The same for complaints.
        stop_bounces: From here on it is stopped.
        stop_complaints: The same for complaints.
        job_first: The first deliveries of a job, which are judged early.
    """

    volume: int = 10_000
    least: int = 1_000
    healthy_bounces: float = 0.02
    healthy_complaints: float = 0.001
    warn_bounces: float = 0.05
    warn_complaints: float = 0.001
    stop_bounces: float = 0.10
    stop_complaints: float = 0.005
    job_first: int = 1_000


@dataclass(frozen=True, slots=True)
class Tally:
    """What a scope sent and what came back; weights, hence not whole.

    Args:
        sent: Deliveries that came to an end at the receiver: accepted or refused for good.
        bounced: Those whose mailbox does not exist, told at once or later.
        complained: Those that were complained about.
    """

    sent: float = 0.0
    bounced: float = 0.0
    complained: float = 0.0

    @property
    def bounce_rate(self) -> float:
        """The share of bounces, 0 to 1."""
        return min(1.0, self.bounced / self.sent) if self.sent else 0.0

    @property
    def complaint_rate(self) -> float:
        """The share of complaints, 0 to 1."""
        return min(1.0, self.complained / self.sent) if self.sent else 0.0

    def add(self, more: "Tally", volume: int) -> "Tally":
        """Return the tally with more in it, halved while it is over twice the volume."""
        total = Tally(
            self.sent + more.sent, self.bounced + more.bounced, self.complained + more.complained
        )
        while total.sent > 2 * volume:
            total = Tally(total.sent / 2, total.bounced / 2, total.complained / 2)
        return total


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a scope stands, and why in words; the reason is "" unless it is a warning or a stop."""

    standing: Standing
    reason: str = ""


def judge(scope: str, tally: Tally, options: ReputationOptions) -> Judgement:
    """Return how a scope stands by its tally; it does not know that a person has stopped it.

    Args:
        scope: Its name; those of jobs begin with `job:`.
        tally: Its counts.
        options: The thresholds.
    """
    early = options.stop_bounces * options.job_first
    if scope.startswith("job:") and tally.sent <= options.job_first and tally.bounced >= early:
        what = f"{tally.bounced:.0f} of the first {tally.sent:.0f} deliveries bounced"
        return Judgement(Standing.STOPPED, what)
    if tally.sent < options.least:
        return Judgement(Standing.HEALTHY)
    bounces, complaints = tally.bounce_rate, tally.complaint_rate
    for standing, most_bounces, most_complaints in (
        (Standing.STOPPED, options.stop_bounces, options.stop_complaints),
        (Standing.WARNING, options.warn_bounces, options.warn_complaints),
    ):
        over = [
            f"{rate:.2%} {name}"
            for rate, most, name in (
                (bounces, most_bounces, "bounces"),
                (complaints, most_complaints, "complaints"),
            )
            if rate and rate >= most
        ]
        if over:
            return Judgement(standing, f"{' and '.join(over)} over {tally.sent:.0f} deliveries")
    healthy = bounces < options.healthy_bounces and complaints < options.healthy_complaints
    return Judgement(Standing.HEALTHY if healthy else Standing.FAIR)


def scopes(
    *, sender: str, source: str, provider: str, configuration_set: str, job: int
) -> tuple[str, ...]:
    """Return the scopes that a delivery counts for; those that are not known are left out.

    Args:
        sender: The From domain.
        source: The egress source's name, "" if none was used.
        provider: The receiver's provider, "" if not known.
        configuration_set: "" for the default.
        job: Its number.
    """
    named = (("sender", sender), ("source", source), ("provider", provider))
    return (
        *(f"{kind}:{name}" for kind, name in named if name),
        f"set:{configuration_set or 'default'}",
        f"job:{job}",
    )
