"""A provider that the operator describes is one to warm-up, hours and the forecast too."""

from pathlib import Path

from ekiden import settings
from ekiden.config import load
from ekiden.shaping.ramps import OTHER

TEXT = """
[provider.corp]
mx = [".corp.example"]
"""


def test_an_own_provider_is_warmed_up_beside_the_shipped_ones(tmp_path: Path) -> None:
    path = tmp_path / "ekiden.toml"
    path.write_text(TEXT, encoding="utf-8")
    providers = settings.pacing_facts(load(path)).providers
    assert "corp" in providers
    assert "gmail" in providers
    assert providers[-1] == OTHER
    assert len(providers) == len(set(providers))


def test_an_own_word_for_a_shipped_provider_leaves_its_hours_in_force(tmp_path: Path) -> None:
    path = tmp_path / "ekiden.toml"
    path.write_text("", encoding="utf-8")
    shipped = settings.hours(load(path)).avoided
    named = [one.provider for one in shipped if one.provider != "*"]
    assert named
    words = "\n".join(f"[provider.{name}]\nprovider_sessions = 1" for name in named)
    path.write_text(words, encoding="utf-8")
    assert {one.provider for one in settings.hours(load(path)).avoided} == {"*", *named}


def test_an_operator_names_the_hours_of_a_provider(tmp_path: Path) -> None:
    path = tmp_path / "ekiden.toml"
    path.write_text(
        """
[hours]
time_zone = "Asia/Tokyo"
[provider.docomo]
avoid = ["12:00-12:30"]
avoid_time_zone = "UTC"
[provider.corp]
mx = [".corp.example"]
avoid = ["*:00-*:10"]
[provider.yahoo]
avoid = []
""",
        encoding="utf-8",
    )
    found = {one.provider: one for one in settings.hours(load(path)).avoided}
    assert (found["docomo"].bulk, found["docomo"].zone_name) == (("12:00-12:30",), "UTC")
    assert (found["corp"].bulk, found["corp"].zone_name) == (("*:00-*:10",), "Asia/Tokyo")
    assert found["yahoo"].bulk == (), "the profile's five minutes are taken away"
