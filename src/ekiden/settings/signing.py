"""What we sign with: DKIM keys, and the secrets behind return addresses and links."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ekiden.bounce.identifiers import Identifiers
from ekiden.config import Config
from ekiden.dkim.keys import Key, load_key
from ekiden.dkim.sign import Signer
from ekiden.inbound.keys import load_keys
from ekiden.message.tokens import Tokens


def keys(config: Config) -> dict[str, tuple[Key, ...]]:
    """Return the DKIM keys by domain, read from their files.

    Raises:
        ConfigError: A file is missing, readable by others, or no key.
    """
    found: dict[str, tuple[Key, ...]] = {}
    for one in config.dkim.keys:
        made = load_key(one.file, one.domain, one.selector)
        found[made.domain] = (*found.get(made.domain, ()), made)
    return found


def signers(config: Config) -> Callable[[Sequence[str]], Signer | None]:
    """Return what finds the signer of a set of domains; None where none of them has a key.

    Raises:
        ConfigError: A key cannot be read.
    """
    by_domain = keys(config)
    expiry = {one.domain.lower(): one.expire for one in config.dkim.keys}

    def signer(domains: Sequence[str]) -> Signer | None:
        chosen = [key for domain in domains for key in by_domain.get(domain, ())]
        if not chosen:
            return None
        lives = [life for domain in domains if (life := expiry.get(domain)) is not None]
        return Signer(chosen, lifetime=min(lives, default=None))

    return signer


def return_keys(config: Config) -> Path:
    """Return the file of the secrets that sign return addresses."""
    return config.inbound.keys or config.queue.path.with_name("return.keys")


def identifiers(config: Config) -> Identifiers:
    """Return what makes and verifies the marks of messages; makes the keys on first use.

    Raises:
        ConfigError: Others may read the keys, or the file holds none.
        UnavailableError: The file cannot be read or made.
    """
    inbound = config.inbound
    more = [one.return_domain for one in config.configuration_sets.values()]
    return Identifiers(
        load_keys(return_keys(config)), inbound.return_domain, inbound.lifetime, more
    )


def tokens(config: Config) -> Tokens:
    """Return what signs the links in mail: with the keys of return addresses, for other uses.

    Raises:
        ConfigError: Others may read the keys, or the file holds none.
        UnavailableError: The file cannot be read or made.
    """
    return Tokens(load_keys(return_keys(config)))
