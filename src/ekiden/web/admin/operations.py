"""Every operation of the admin API: one row each; routes and the OpenAPI document come from it.

An operation is a request of `control` with a path. What is not in the path comes by the query of a
GET or DELETE, and by the JSON object of a POST or PUT. So the API says what the commands say, and a
new request is one more row.
"""

from dataclasses import dataclass
from typing import Any, Final

from ekiden.control import insight_requests as insight
from ekiden.control import list_requests as lists
from ekiden.control import pacing_requests as pacing
from ekiden.control import reaction_requests as reactions
from ekiden.control import requests as basic
from ekiden.control import template_requests as templates
from ekiden.control import token_requests as tokens
from ekiden.control.requests import Listing, Question
from ekiden.control.tokens import Scope

Asked = type[Question[Any]] | type[Listing[Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    Args:
        verb: The HTTP method.
        path: Below /v1; `{name}` is the field `name` of the request.
        request: What it asks.
        scope: What a token needs.
        group: Under which heading it is described.
    """

    verb: str
    path: str
    request: Asked
    scope: Scope
    group: str

    @property
    def summary(self) -> str:
        """One sentence: the request's own."""
        return (self.request.__doc__ or "").strip().splitlines()[0]

    @property
    def in_path(self) -> tuple[str, ...]:
        """The fields that the path holds."""
        return tuple(part.partition("}")[0].split(":")[0] for part in self.path.split("{")[1:])

    @property
    def has_body(self) -> bool:
        """Whether its other fields come as JSON."""
        return self.verb in {"POST", "PUT"}


_R, _A = Scope.READ, Scope.ADMIN

OPERATIONS: Final = (
    Operation("GET", "/status", basic.Status, _R, "status"),
    Operation("GET", "/providers", insight.Providers, _R, "status"),
    Operation("GET", "/alerts", insight.Alerts, _R, "status"),
    Operation("GET", "/inbound", basic.InboundCounts, _R, "status"),
    Operation("GET", "/jobs", basic.Jobs, _R, "jobs"),
    Operation("GET", "/jobs/{job}", basic.ShowJob, _R, "jobs"),
    Operation("GET", "/jobs/{job}/failures", insight.Failures, _R, "jobs"),
    Operation("GET", "/jobs/{job}/reactions", insight.JobReactions, _R, "jobs"),
    Operation("POST", "/jobs/{job}/pause", basic.PauseJob, _A, "jobs"),
    Operation("POST", "/jobs/{job}/resume", basic.ResumeJob, _A, "jobs"),
    Operation("POST", "/jobs/{job}/cancel", basic.CancelJob, _A, "jobs"),
    Operation("POST", "/jobs/{job}/release", basic.ReleaseJob, _A, "jobs"),
    Operation("GET", "/queue", basic.Backlog, _R, "queue"),
    Operation("GET", "/deliveries", basic.Deliveries, _R, "queue"),
    Operation("GET", "/suspensions", basic.Suspensions, _R, "queue"),
    Operation("POST", "/suspensions", basic.Suspend, _A, "queue"),
    Operation("DELETE", "/suspensions/{pattern}", basic.Unsuspend, _A, "queue"),
    Operation("GET", "/suppressions", basic.ListSuppressions, _R, "suppressions"),
    Operation("POST", "/suppressions", basic.AddSuppressions, _A, "suppressions"),
    Operation("DELETE", "/suppressions/{address}", basic.RemoveSuppression, _A, "suppressions"),
    Operation("GET", "/reputation", basic.Reputations, _R, "reputation"),
    Operation("POST", "/reputation/{scope}/resume", basic.ResumeScope, _A, "reputation"),
    Operation("POST", "/reputation/{scope}/stop", lists.StopScope, _A, "reputation"),
    Operation("GET", "/reactions", reactions.ShowReactions, _R, "reputation"),
    Operation("DELETE", "/reactions/{id}", reactions.CancelReaction, _A, "reputation"),
    Operation("GET", "/warmup", pacing.Warmups, _R, "warm-up"),
    Operation("POST", "/warmup/start", pacing.StartWarmup, _A, "warm-up"),
    Operation("POST", "/warmup/hold", pacing.HoldWarmup, _A, "warm-up"),
    Operation("POST", "/warmup/skip", pacing.SkipWarmup, _A, "warm-up"),
    Operation("GET", "/hours", pacing.ShowHours, _R, "warm-up"),
    Operation("GET", "/learned", pacing.ShowLearned, _R, "warm-up"),
    Operation("POST", "/events/destinations/{name}/skip", basic.SkipEvents, _A, "events"),
    Operation("GET", "/lists", lists.Lists, _R, "lists"),
    Operation("POST", "/lists", lists.AddList, _A, "lists"),
    Operation("GET", "/lists/{contact_list}", lists.ShowList, _R, "lists"),
    Operation("PUT", "/lists/{contact_list}", lists.ChangeList, _A, "lists"),
    Operation("DELETE", "/lists/{contact_list}", lists.RemoveList, _A, "lists"),
    Operation("GET", "/lists/{contact_list}/topics", lists.Topics, _R, "lists"),
    Operation("POST", "/lists/{contact_list}/topics", lists.AddTopic, _A, "lists"),
    Operation("PUT", "/lists/{contact_list}/topics", lists.ChangeTopic, _A, "lists"),
    Operation("DELETE", "/lists/{contact_list}/topics/{topic}", lists.RemoveTopic, _A, "lists"),
    Operation("GET", "/lists/{contact_list}/contacts", lists.ListContacts, _R, "contacts"),
    Operation("POST", "/lists/{contact_list}/contacts", lists.AddContacts, _A, "contacts"),
    Operation("GET", "/lists/{contact_list}/contacts/{address}", lists.ShowContact, _R, "contacts"),
    Operation(
        "DELETE", "/lists/{contact_list}/contacts/{address}", lists.RemoveContact, _A, "contacts"
    ),
    Operation(
        "POST", "/lists/{contact_list}/contacts/{address}/choice", lists.Choose, _A, "contacts"
    ),
    Operation("GET", "/people/{address}", lists.ExportPerson, _A, "contacts"),
    Operation("POST", "/people/{address}/erase", lists.ErasePerson, _A, "contacts"),
    Operation("GET", "/identities", lists.ListIdentities, _R, "identities"),
    Operation("POST", "/identities", lists.AddIdentity, _A, "identities"),
    Operation("POST", "/identities/confirm", lists.ConfirmIdentity, _A, "identities"),
    Operation("POST", "/identities/{name}/mail", lists.MailCode, _A, "identities"),
    Operation("DELETE", "/identities/{name}", lists.RemoveIdentity, _A, "identities"),
    Operation("GET", "/templates", templates.ListTemplates, _R, "templates"),
    Operation("POST", "/templates", templates.AddTemplate, _A, "templates"),
    Operation("GET", "/templates/{reference}", templates.ShowTemplate, _R, "templates"),
    Operation("DELETE", "/templates/{reference}", templates.RemoveTemplate, _A, "templates"),
    Operation("GET", "/tokens", tokens.ListTokens, _A, "tokens"),
    Operation("POST", "/tokens", tokens.AddToken, _A, "tokens"),
    Operation("POST", "/tokens/{name}/rotate", tokens.RotateToken, _A, "tokens"),
    Operation("DELETE", "/tokens/{name}", tokens.RevokeToken, _A, "tokens"),
)
