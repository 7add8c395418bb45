"""The scheduler: who may send what, where and when. A pure state machine over `now`.

Facts come in (`job_changed`, `lane_offered`, `loaded`, `resolved`, `session_opened`, `settled`),
decisions go out (`actions`, `take`). It reads no clock and touches no wire: the dispatcher does
both and reports back, and the forecast drives the very same object on a virtual clock.

What it promises, at every instant:

1. No cap is exceeded: sessions per destination, site, provider, path, road (source to provider),
   source and engine, those being dialled or closed included; messages per session; messages and
   connections per second, minute, hour and day, in any span of that length.
2. No id is handed out twice while it is in a hand, and whatever is due and allowed is handed out.
3. Turns: sites in turn for slots, jobs in turn within a site, destinations in turn within a job.
   Nothing is sorted, so nothing comes in runs. While slots are short a session yields after a
   quantum. Transactional mail passes bulk, and bulk gets one turn in `bulk_turns`.
4. Trouble counts against the path it happened on, which is left alone for a growing while and then
   probed by one session; a path in trouble keeps neither slots nor lanes from others.
5. Memory is bounded by the options, whatever the queue holds: it keeps windows of lanes.

How it is built is told in `schedule/gates`, `ways` and `works` (the things), `places`, `lines` and
`state` (their consistency), `loading` and `resolving` (lanes and sites come in), `turns` (whose
turn), `serving` (when a session ends or waits) and `slots` (which session to open);
docs/scheduling.md has the tour.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ekiden.engine.schedule import coarse, explain, loading, resolving, serving, slots
from ekiden.engine.schedule.counting import Counting
from ekiden.engine.schedule.facts import (
    Action,
    Answer,
    Finish,
    Item,
    Learned,
    Open,
    SchedulerOptions,
    SiteFacts,
    SourceFacts,
    Take,
)
from ekiden.engine.schedule.reacting import Reacting
from ekiden.engine.schedule.roads import Roads
from ekiden.engine.schedule.state import SUSPENDED_PARK, State
from ekiden.engine.schedule.turns import next_lane
from ekiden.engine.schedule.works import Destination, Jitter, Job, Round, Session, Site
from ekiden.queue.model import JobFacts, LaneFacts, Priority, Waiting
from ekiden.shaping.caps import Caps
from ekiden.shaping.hours import Hours, HoursOptions
from ekiden.shaping.window import NEVER, Lesson

ENDLESS: Final = 1 << 30
SHORT_FOR: Final = 10.0  # seconds for which slots count as short after somebody had to wait


def _middle() -> float:
    return 0.5


class Scheduler:
    """See the module.

    Args:
        options: How it behaves.
        jitter: Draws a number from 0 to 1 for back-offs; the default is the middle, always.

    Attributes:
        roads: What is said and asked of (source, provider).
        reacting: What is done for a while about what receivers say.
        counting: What was counted of hours and days, to be kept across restarts.
    """

    def __init__(
        self, options: SchedulerOptions | None = None, *, jitter: Jitter = _middle
    ) -> None:
        self._state = State(options or SchedulerOptions(), jitter)
        self.roads = Roads(self._state)
        self.counting = Counting(self._state)
        self.reacting = Reacting(self._state)

    # --- Facts: configuration -------------------------------------------------------------------

    def set_sources(self, sources: Sequence[SourceFacts], now: float) -> None:
        """Take over the sources of a new configuration; open sessions live on."""
        state = self._state
        state.set_sources(sources)
        for pool in state.pools.values():
            state.poke_all(pool)
        for source in state.sources.values():
            state.poke(source, now)

    def set_caps(self, caps: Caps) -> None:
        """Take over new caps over everything the engine does."""
        self._state.set_caps(self._state.engine, caps)

    def set_sets(self, sets: Mapping[str, Caps], now: float) -> None:
        """Take over what configuration sets say in place of sites and destinations."""
        self._state.set_sets(sets, now)

    def press(self, *, pressed: bool) -> None:
        """Hear whether messages wait to be made, for their signatures most often.

        While they do, another session to a site that is served already would only wait as well. A
        site without a session gets its first one all the same.
        """
        state = self._state
        state.pressed = pressed
        if not pressed:
            held_back, state.held_back = state.held_back, set()
            for work, rank in held_back:
                state.work_in_line(work, rank)

    def resolve_again(self, now: float) -> None:
        """Ask anew where every destination goes, and put nothing aside for what held before.

        What is known serves until the new answer is there.
        """
        resolving.again(self._state, now)

    def found(self) -> list[tuple[str, str]]:
        """Return the destinations in memory whose site is known, each with that site's name."""
        every = self._state.destinations.values()
        return [(one.name, one.site.name) for one in every if one.site is not None]

    def suspend(self, pattern: str, until: float, reason: str, now: float) -> None:
        """Begin and hand out nothing for what `pattern` names, until `until`.

        Args:
            pattern: A destination, site or provider, with the wildcards of `fnmatch`.
            until: UNIX seconds, or FOREVER.
            reason: In words; `why` gives them back.
            now: UNIX seconds.
        """
        state = self._state
        state.suspensions[pattern] = (until, reason)
        for scope in state.scopes_named(pattern):
            scope.until, scope.reason = until, reason
        park_at = min(until, now + SUSPENDED_PARK)
        for destination in list(state.destinations.values()):
            if destination.until > now:
                for lane in list(destination.lanes.values()):
                    state.drop(lane, park_at)

    def unsuspend(self, pattern: str, now: float) -> None:
        """End a suspension; what it held is kept, or offered again when it is due."""
        state = self._state
        if state.suspensions.pop(pattern, None) is None:
            return
        state.unpark()
        for scope in state.scopes_named(pattern):
            scope.until, scope.reason = NEVER, ""
            state.unhold(scope)
            match scope:
                case Destination():
                    state.unstick_destination(scope)
                case Site():
                    state.poke_all(scope)
                case _:
                    state.poke(scope, now)

    def unpark(self) -> None:
        """Let what is on its way out of memory be offered when it is due: what held it is over."""
        self._state.unpark()

    # --- Facts: jobs and lanes --------------------------------------------------------------------

    def job_changed(self, facts: JobFacts, now: float) -> None:
        """Learn of a job, or of its new state, priority, pace or times.

        The lanes of a job that is not open leave memory; offer them again when it is.
        """
        state = self._state
        job = state.jobs.get(facts.id)
        delay = state.delay_of(facts)
        if job is None:
            state.jobs[facts.id] = job = Job(facts)
            if facts.pace is not None and (facts.head or facts.siblings):
                job.join(state.rounds.setdefault(facts.head or facts.id, Round()))
            job.change(facts, delay)
            return
        moved = (facts.pool, facts.priority) != (job.facts.pool, job.facts.priority)
        job.change(facts, delay)
        if not job.open():
            self._drop_lanes(job)
        elif moved:
            for lane in list(job.lanes.values()):
                state.detach(lane)
                state.attach(lane, now)
        if job.from_at <= now:
            state.unstick_job(job)
        else:
            state.set_timer(job, job.from_at)

    def job_gone(self, job_id: int) -> None:
        """Forget a job: done, cancelled, or not to be sent by this engine."""
        job = self._state.jobs.pop(job_id, None)
        if job is not None:
            self._drop_lanes(job)
            job.round.jobs.remove(job)
            if not job.round.jobs:
                self._state.rounds.pop(job.facts.head or job_id, None)

    def _drop_lanes(self, job: Job) -> None:
        for lane in list(job.lanes.values()):
            self._state.drop(lane, None, tell=False)

    def set_hours(self, options: HoursOptions, now: float) -> None:
        """Take over other windows of the clock; what was learned of hours stays."""
        state = self._state
        state.hours.set_options(options)
        state.unpark()
        for job in state.jobs.values():
            job.change(job.facts, state.delay_of(job.facts))
            state.unstick_job(job)
        for site in state.sites.values():
            state.poke_all(site)
            state.set_timer(site, now)

    @property
    def hours(self) -> Hours:
        """When mail may begin, and what was learned of the hours of the day."""
        return self._state.hours

    def takes(self, priority: Priority, now: float) -> bool:
        """Whether lanes of a priority are worth offering: by the clock, for all providers."""
        return self._state.hours.opens_at("", 0 if priority == 0 else 1, now) <= now

    def lane_room(self) -> int:
        """Return how many more lanes fit into memory."""
        return max(0, self._state.options.lanes_max - len(self._state.lanes))

    def lane_offered(self, facts: LaneFacts, now: float) -> bool:
        """Take a lane that has due deliveries into memory.

        Returns:
            False when there is no room: offer no more until `lane_room` says so. True otherwise,
            also when the lane is here already or its job must not send.
        """
        return loading.offered(self._state, facts, now)

    def loaded(self, lane_id: int, items: Sequence[Waiting], more: bool, now: float) -> None:  # noqa: FBT001  the last two are never literals
        """Take ids of a lane that are due, as read after the cursor of its `Load`.

        Args:
            lane_id: The lane.
            items: In the order (due_at, id).
            more: Whether more that is due follows the last of them.
            now: UNIX seconds.
        """
        loading.loaded(self._state, lane_id, items, more, now)

    def returned(self, lane_id: int, items: Sequence[Item], now: float) -> None:
        """Take back ids that were handed out and not tried; they are `ready` in the queue.

        Ids that must not come back (suppressed, taken by another lease) are `settled` instead.
        """
        loading.returned(self._state, lane_id, items, now)

    # --- Facts: destinations ----------------------------------------------------------------------

    def resolved(self, name: str, facts: SiteFacts, now: float) -> None:
        """Learn where a destination's mail goes; answers a `Resolve`, or renews it."""
        resolving.resolved(self._state, name, facts, now)

    def belongs(self, site: str, provider: str, now: float) -> None:
        """Learn that a new configuration gives a site to another provider; "" for nobody known."""
        resolving.belongs(self._state, site, provider, now)

    def unresolved(self, name: str, until: float, reason: str, now: float) -> None:
        """Learn that a destination's site cannot be found before `until`; its lanes are parked."""
        resolving.unresolved(self._state, name, until, reason, now)

    # --- Facts: sessions --------------------------------------------------------------------------

    def session_opened(self, session_id: int, now: float) -> None:
        """Learn that a session is ready for transactions."""
        self._state.sessions[session_id].opened(now)

    def session_failed(
        self,
        session_id: int,
        lesson: Lesson,
        reason: str,
        now: float,
        retry_after: float | None = None,
    ) -> None:
        """Learn that a session could not be opened; its slot is free again.

        What was claimed for it is reported apart, by `returned` or `settled`.

        Args:
            session_id: The session.
            lesson: What that teaches the path; NONE for our own trouble, which pauses it as well.
            reason: The reply or the cause in words.
            now: UNIX seconds.
            retry_after: Seconds that the receiver asked for.
        """
        state = self._state
        session = state.sessions[session_id]
        path = session.path
        if lesson is Lesson.BLOCKED:
            path.blocked(now, session.begun_at, reason, state.jitter())
        elif lesson is Lesson.NONE:
            path.pause(now + state.options.failing.base, reason)
        else:
            path.broke(now, session.begun_at, reason, state.jitter(), alive=session.alive)
        if retry_after is not None:
            path.pause(now + retry_after, reason)
        path.length.ended(0, now, asked=session.asks, cut=False)
        state.end(session, now)

    def session_closed(self, session_id: int, now: float) -> None:
        """Learn that a session has ended, by us or by them; its slot is free again."""
        state = self._state
        session = state.sessions[session_id]
        path, cut = session.path, session.cut and session.good > 1 and not session.finishing
        cut = cut or session.full > 0
        carried = session.full or session.tried - cut
        if cut:
            others = serving.longest(state, path)
            if path.length.cut(carried, now, rate=path.speed.rate, others=others):
                serving.shorten(state, path)
        path.length.ended(carried, now, asked=session.asks, cut=cut)
        state.end(session, now)

    def settled(
        self,
        session_id: int,
        delivery_id: int,
        lesson: Lesson,
        now: float,
        *,
        retry_after: float | None = None,
        reason: str = "",
    ) -> None:
        """Learn what a transaction came to; the id is out of the scheduler's hands.

        Args:
            session_id: The session that carried it; 0 for an id out of a `Refuse`, or never sent.
            delivery_id: The id.
            lesson: What it teaches the path.
            now: UNIX seconds.
            retry_after: Seconds that the receiver asked for; counts with SLOW, BLOCKED and BROKEN.
            reason: The reply in words, for `why`.
        """
        state = self._state
        held = state.put_down(delivery_id)
        if held is None:
            return
        lane, session, at = held
        lane.ahead += lesson not in _OUT  # it is in the queue again
        loading.drop_if_drained(state, lane)
        if session_id == 0 or session is None:
            return
        path = session.path
        path.seconds += 0.3 * (now - at - path.seconds)
        session.cut = lesson in _CUT
        path.took(now - max(at, session.served_at))
        session.served_at = now
        if lesson is Lesson.GOOD:
            session.good += 1
            session.road.refusals = 0
            if path.good(now, at):
                state.poke_all(path.site)
            return
        self._learn(session, lesson, at, now, reason)
        if retry_after is not None and lesson in _PATH_TROUBLE:
            path.pause(now + retry_after, reason)

    def _learn(self, session: Session, lesson: Lesson, at: float, now: float, reason: str) -> None:
        path, jitter = session.path, self._state.jitter
        match lesson:
            case Lesson.ENOUGH if session.fills_up(now):
                serving.shorten(self._state, path)
            case Lesson.SLOW | Lesson.ENOUGH if not session.meets_its_end():
                path.slow(now, at, reason, jitter())
            case Lesson.BLOCKED:
                path.blocked(now, at, reason, jitter())
            case Lesson.BROKEN if not session.meets_its_end():
                path.broke(now, at, reason, jitter(), alive=session.alive)
            case _:
                pass

    # --- Decisions --------------------------------------------------------------------------------

    def actions(
        self, now: float, budget: int = 256, *, opens: int = ENDLESS, looks: int = ENDLESS
    ) -> list[Action]:
        """Return what to do now; call again at `wake_at`, which is `now` while more is to be done.

        Every action is said once. See `facts` for what each asks for.

        Args:
            now: UNIX seconds.
            budget: About so many actions at most.
            opens: So many sessions to begin at most.
            looks: So many works to look at, and timers to fire, at most: most of ten thousand works
                may have to wait, and come to no action.
        """
        state = self._state
        state.fire_timers(now, looks)
        result: list[Action] = []
        resolving.ask(state, result, budget)
        loading.ask(state, result, budget)
        while state.line and len(result) < budget and opens > 0 and looks > 0:
            looks -= 1
            if state.engine.open_at(now) > now:
                state.short_until = now + SHORT_FOR
                action = slots.make_room(state)
                if action is None:
                    state.set_timer(state.engine, state.engine.open_at(now))
                    break
            else:
                action = slots.next_session(state, now)
            if action is not None:
                result.append(action)
                opens -= isinstance(action, Open)
        while state.out and len(result) < budget:
            result.append(state.out.popleft())
        return result

    def take(self, session_id: int, now: float, most: int = 1) -> Answer:
        """Return what a session does next.

        Args:
            session_id: An open session.
            now: UNIX seconds.
            most: How many ids to hand out at most. Fewer come when a rate per second or minute, or
                a job's pace, applies: then one at a time, when the hand is empty.
        """
        state = self._state
        session = state.sessions[session_id]
        reason = session.finishing or serving.must_finish(state, session, now)
        if reason:
            state.finish(session, reason)
            return Finish(reason)
        items: list[Item] = []
        while len(items) < most and session.taken < session.most:
            waits = serving.wait(state, session, now)
            if waits is not None:
                return Take(tuple(items)) if items else waits
            lane = next_lane(state, session.work, session, now)
            if lane is None:
                break
            single = lane.destination.messages is not None or lane.job.facts.pace is not None
            if single and session.hand:
                break
            items.append(state.hand_out(lane, session, now))
            if single:
                break
        if items:
            state.not_idle(session)
            return Take(tuple(items))
        return serving.nothing_left(state, session, now)

    def weigh(self, session_id: int, item: Item, more: int, now: float) -> None:
        """Count messages that an id stands for besides itself (`schedule.coarse`)."""
        coarse.weigh(self._state, session_id, item, more, now)

    def wake_at(self, now: float) -> float:
        """Return when `actions` has something to say if no fact comes before; `now`: at once."""
        state = self._state
        loads = state.loads and state.may_load()
        resolves = state.unresolved and state.resolving < state.options.resolving_max
        opens = state.line and (state.engine.open_at(now) <= now or state.idle)
        if state.out or loads or resolves or opens:
            return now
        return max(now, state.next_timer())

    # --- For people, and across restarts ----------------------------------------------------------

    def why(self, destination: str, now: float, job: int | None = None) -> tuple[str, float]:
        """Return why a destination's mail, or a job's there, waits; and until when.

        FOREVER: that is not a matter of time.
        """
        return explain.why(self._state, destination, now, job)

    def snapshot(self) -> explain.Snapshot:
        """Return what the scheduler is doing, for status and metrics; costs nothing."""
        return explain.snapshot(self._state)

    def sites(self, now: float) -> Iterator[explain.SiteView]:
        """Give what each site is doing, one after the other: for thousands, take them in slices."""
        return explain.sites(self._state, now)

    def learned(self) -> dict[str, Learned]:
        """Return what was learned of each path ("SOURCE to SITE"), to be kept across restarts."""
        return dict(self.lessons())

    def lessons(self) -> Iterator[tuple[str, Learned]]:
        """Give the same path by path: for thousands, take them in slices."""
        state = self._state
        yield from list(state.learned.items())
        for site in list(state.sites.values()):
            yield from [(path.name, path.state()) for path in site.paths.values()]

    def recall(self, learned: Mapping[str, Learned]) -> None:
        """Continue from what was learned; for paths that have not been met yet."""
        self._state.learned.update(learned)


_OUT: Final = frozenset({Lesson.GOOD, Lesson.NONE})
_CUT: Final = frozenset({Lesson.SLOW, Lesson.BROKEN, Lesson.ENOUGH})
_PATH_TROUBLE: Final = frozenset({Lesson.SLOW, Lesson.BLOCKED, Lesson.BROKEN})
