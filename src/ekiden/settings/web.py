"""What is served over HTTP, and the links in mail that lead there."""

from ekiden import limits
from ekiden.config import Config
from ekiden.control.list_service import Confirming
from ekiden.engine.links import LinkMaker, LinkOptions, TrackingOptions
from ekiden.message.tokens import Tokens
from ekiden.settings.egress import hostname
from ekiden.settings.signing import tokens
from ekiden.web.options import AdminOptions, Brand, ServerOptions, SignupOptions, SiteOptions


def links(config: Config, signed: Tokens | None = None) -> LinkMaker | None:
    """Return what makes the links in mail; None if no public part is configured.

    Args:
        config: The configuration.
        signed: Signs them; the installation's own keys if it is not given.

    Raises:
        ConfigError: As for `tokens`.
        UnavailableError: As for `tokens`.
    """
    if not config.web.public_url:
        return None
    tracking = config.tracking
    return LinkMaker(
        signed or tokens(config),
        LinkOptions(
            public_url=config.web.public_url.rstrip("/"),
            mailto=unsubscribe_address(config),
            tracking=TrackingOptions(tracking.opens, tracking.clicks, tracking.privacy == "totals"),
        ),
    )


def unsubscribe_address(config: Config) -> str:
    """Return the address that takes mail to leave by; "" if none can be received."""
    inbound = config.inbound
    if not inbound.listen or not inbound.return_domain:
        return ""
    return f"unsubscribe@{inbound.return_domain}"


def site(config: Config) -> SiteOptions:
    """Return what the public pages are like."""
    web = config.web
    url = web.public_url.rstrip("/")
    signup = None
    if web.signup.lists:
        signup = SignupOptions(
            lists=frozenset(web.signup.lists),
            sender=web.signup.sender,
            public_url=url,
            lifetime=web.signup.lifetime,
            per_hour=web.signup.per_hour,
        )
    return SiteOptions(
        public_url=url,
        brand=Brand(web.brand, web.color, web.footer, web.language),
        per_minute=web.requests,
        proxies=web.proxies,
        signup=signup,
    )


def public_server(config: Config) -> ServerOptions:
    """Return where the public pages are served."""
    places = [(place.address, place.port) for place in config.web.public_listen]
    return ServerOptions(places, proxies=config.web.proxies)


def admin(config: Config) -> AdminOptions:
    """Return what the admin part is like."""
    web = config.web
    return AdminOptions(
        host=config.delivery.hostname,
        proxies=web.proxies,
        per_minute=web.admin.requests,
        session=web.admin.session,
        events=config.events.directory,
    )


def admin_server(config: Config) -> ServerOptions:
    """Return where the admin part is served."""
    places = [(place.address, place.port) for place in config.web.admin.listen]
    return ServerOptions(places, request=limits.HTTP_JOB_SECONDS, proxies=config.web.proxies)


def confirming(config: Config) -> Confirming:
    """Return how confirmation mails for identities are made."""
    url = config.web.public_url.rstrip("/")
    return Confirming(
        config.identities.sender or f"postmaster@{hostname(config)}",
        (lambda code: f"{url}/identity/{code}") if url else lambda _: "",
    )
