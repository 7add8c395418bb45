"""People and machines told apart by what they say, where they are, and how soon they come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.lists.agents import TOO_SOON, AgentKind, classify_agent

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
APPLE_MAIL = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
)
GMAIL_PROXY = (
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
)
GMAIL_PREFETCH = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
)
YAHOO = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
OUTLOOK = "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Trident/7.0; Microsoft Outlook 16.0)"
DOCOMO = (
    "Mozilla/5.0 (Linux; Android 14; SO-51D) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36"
)


@pytest.mark.parametrize(
    ("user_agent", "ip", "seconds", "kind", "name"),
    [
        (FIREFOX, "198.51.100.7", 3600.0, AgentKind.PERSON, ""),
        (APPLE_MAIL, "198.51.100.7", 60.0, AgentKind.PERSON, ""),
        (OUTLOOK, "", None, AgentKind.PERSON, ""),
        (DOCOMO, "not an address", 30.0, AgentKind.PERSON, ""),
        ("Mozilla/5.0", "104.28.1.1", 3600.0, AgentKind.PREFETCH, "Apple"),
        (" mozilla/5.0 ", "", None, AgentKind.PREFETCH, "Apple"),
        (GMAIL_PROXY, "66.102.8.1", 3600.0, AgentKind.PROXY, "Gmail"),
        (GMAIL_PREFETCH, "66.249.84.1", 2.0, AgentKind.PREFETCH, "Gmail"),
        (FIREFOX, "66.102.8.1", 3600.0, AgentKind.PROXY, "Gmail"),
        (FIREFOX, "::ffff:66.102.8.1", 3600.0, AgentKind.PROXY, "Gmail"),
        (FIREFOX, "2001:db8::1", 3600.0, AgentKind.PERSON, ""),
        (YAHOO, "", 9.0, AgentKind.PROXY, "Yahoo"),
        (f"{FIREFOX} BarracudaCentral", "", 9.0, AgentKind.SCANNER, "Barracuda"),
        (FIREFOX, "40.94.20.1", 600.0, AgentKind.SCANNER, "Microsoft"),
        (FIREFOX, "198.51.100.7", TOO_SOON / 2, AgentKind.SCANNER, ""),
        (FIREFOX, "198.51.100.7", TOO_SOON, AgentKind.PERSON, ""),
        ("curl/8.5.0", "", None, AgentKind.BOT, ""),
        ("python-requests/2.32", "", None, AgentKind.BOT, ""),
        ("Mozilla/5.0 (compatible; bingbot/2.0)", "", None, AgentKind.BOT, ""),
        ("Slackbot-LinkExpanding 1.0", "", None, AgentKind.BOT, ""),
        ("", "198.51.100.7", 3600.0, AgentKind.BOT, ""),
    ],
)
def test_who_it_was(
    user_agent: str, ip: str, seconds: float | None, kind: AgentKind, name: str
) -> None:
    found = classify_agent(user_agent, ip, seconds)
    assert (found.kind, found.name) == (kind, name)
    assert found.human == (kind is AgentKind.PERSON)


@given(st.text(max_size=3000), st.text(max_size=80), st.none() | st.floats(allow_nan=True))
def test_anything_is_answered(user_agent: str, ip: str, seconds: float | None) -> None:
    assert classify_agent(user_agent, ip, seconds).kind in AgentKind
