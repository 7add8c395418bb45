"""How deliveries are scheduled, sent and tried again."""

from ekiden.config import Backoff as RetryBackoff
from ekiden.config import Config
from ekiden.engine.capsbook import set_caps
from ekiden.engine.decide import RetryPolicy
from ekiden.engine.dispatcher import EngineOptions
from ekiden.engine.schedule.facts import SchedulerOptions
from ekiden.settings.egress import source_facts
from ekiden.shaping.caps import Caps
from ekiden.shaping.window import Backoff, WindowOptions

_WAITS_MOST = 64  # of an exponential schedule that is still growing then


def engine(config: Config) -> EngineOptions:
    """Return the engine's own options."""
    return EngineOptions(lookahead=config.delivery.lookahead, drain=config.delivery.drain)


def scheduling(config: Config) -> SchedulerOptions:
    """Return the scheduler's options."""
    paths, most = config.paths, config.delivery.max_sessions
    usual = SchedulerOptions()
    # A site that takes little has a lane and a session: with fewer lanes than sessions, or fewer
    # windows than lanes, those that wait with an open session would keep the others out.
    lanes = max(usual.lanes_max, most + most // 4)
    return SchedulerOptions(
        sources=source_facts(config),
        caps=Caps(sessions=most),
        lanes_max=lanes,
        waiting_max=max(usual.waiting_max, lanes * usual.lane_first),
        sets=set_caps(config),
        idle=config.delivery.idle,
        window=WindowOptions(
            start=paths.window_start,
            interval=paths.window_interval,
            probe=paths.window_probe,
        ),
        failing=Backoff(paths.failing, paths.failing_ceiling),
        slowing=Backoff(paths.slowing, paths.slowing_ceiling),
        blocking=Backoff(paths.blocking, paths.blocking_ceiling),
    )


def retry_policy(config: Config) -> RetryPolicy:
    """Return the retry schedule and what to do in doubt."""
    delivery = config.delivery
    return RetryPolicy(
        waits=_waits(delivery.retry),
        jitter=delivery.jitter,
        in_doubt_resend=delivery.in_doubt == "resend",
        doubts_max=delivery.in_doubt_resends,
    )


def _waits(retry: RetryBackoff | tuple[float, ...]) -> tuple[float, ...]:
    if not isinstance(retry, RetryBackoff):
        return retry
    waits = [min(retry.first, retry.ceiling)]
    while waits[-1] < retry.ceiling and len(waits) < _WAITS_MOST and retry.factor > 1:
        waits.append(min(waits[-1] * retry.factor, retry.ceiling))
    return tuple(waits)
