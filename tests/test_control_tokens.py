"""API tokens: kept as hashes, compared in constant time, rotated without a gap, revoked at once."""

import hmac
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from commands import Run, runner
from ekiden.control.tokens import PREFIX, ApiTokens, Scope
from ekiden.errors import NotFoundError, RefusedError
from ekiden.store.database import Database

NOW = 1_800_000_000.0


def everything(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in directory.glob("queue.db*"))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path / "queue.db")
    yield opened
    await opened.close()


async def test_a_token_is_found_by_its_secret_alone(database: Database) -> None:
    tokens = ApiTokens(database)
    made = await tokens.add("app", ["submit", "read", "read"], NOW)
    assert made.secret.startswith(PREFIX)
    assert len(made.secret) == len(PREFIX) + 43
    found = await tokens.find(made.secret, NOW + 1)
    assert found is not None
    assert (found.name, found.scopes) == ("app", (Scope.SUBMIT, Scope.READ))
    assert found.may(Scope.READ)
    assert not found.may(Scope.ADMIN)
    for wrong in ("", "app", made.secret[:-1], made.secret + "x", made.secret.lower(), "\ud800"):
        assert await tokens.find(wrong, NOW) is None


async def test_the_database_does_not_hold_the_secret(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "queue.db")
    made = await ApiTokens(database).add("app", ["admin"], NOW)
    await database.close()
    held = everything(tmp_path)
    assert b"app" in held
    assert made.secret.encode() not in held
    assert made.secret.removeprefix(PREFIX).encode() not in held


async def test_every_token_is_compared_in_constant_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = ApiTokens(database)
    first = await tokens.add("one", ["read"], NOW)
    await tokens.add("two", ["read"], NOW)
    compared = []
    genuine = hmac.compare_digest

    def counting(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return genuine(one, other)

    monkeypatch.setattr("ekiden.control.tokens.hmac.compare_digest", counting)
    await tokens.find(first.secret, NOW)
    await tokens.find("nothing", NOW)
    assert len(compared) == 4


async def test_rotation_has_no_gap_and_an_end(database: Database) -> None:
    tokens = ApiTokens(database)
    old = await tokens.add("app", ["submit"], NOW)
    new = await tokens.rotate("app", NOW + 10, grace=3600)
    assert new.token.id == old.token.id  # what is kept of keys goes on
    for secret in (old.secret, new.secret):
        found = await tokens.find(secret, NOW + 20)
        assert found is not None
        assert found.owner == "app"
        assert found.scopes == (Scope.SUBMIT,)
    assert await tokens.find(old.secret, NOW + 10 + 3601) is None
    assert await tokens.find(new.secret, NOW + 10 + 3601) is not None
    await tokens.rotate("app", NOW + 20, grace=0)
    assert await tokens.find(new.secret, NOW + 21) is None


async def test_revoking_ends_every_secret_at_once(database: Database) -> None:
    tokens = ApiTokens(database)
    old = await tokens.add("app", ["admin"], NOW)
    other = await tokens.add("app2", ["admin"], NOW)
    new = await tokens.rotate("app", NOW, grace=3600)
    assert await tokens.find(old.secret, NOW) is not None
    assert await tokens.revoke("app", NOW + 1) == 2
    for secret in (old.secret, new.secret):
        assert await tokens.find(secret, NOW + 1) is None
    assert await tokens.find(other.secret, NOW + 1) is not None
    with pytest.raises(NotFoundError):
        await tokens.rotate("app", NOW + 2, grace=1)
    with pytest.raises(RefusedError, match="of this name"):
        await tokens.add("app", ["read"], NOW + 2)
    await tokens.forget("app")
    assert (await tokens.add("app", ["read"], NOW + 3)).token.revoked_at is None
    with pytest.raises(RefusedError, match="only a revoked token"):
        await tokens.forget("app")


async def test_a_token_ends_by_itself(database: Database) -> None:
    tokens = ApiTokens(database)
    made = await tokens.add("app", ["read"], NOW, NOW + 60)
    assert await tokens.find(made.secret, NOW + 59) is not None
    assert await tokens.find(made.secret, NOW + 60) is None
    rotated = await tokens.rotate("app", NOW + 30, grace=3600)
    assert await tokens.find(made.secret, NOW + 60) is None  # grace does not lengthen it
    assert await tokens.find(rotated.secret, NOW + 9e9) is not None


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a~1", "é", "x" * 61, "a\n"])
async def test_names(database: Database, name: str) -> None:
    with pytest.raises(RefusedError, match="no name"):
        await ApiTokens(database).add(name, ["read"], NOW)


@pytest.mark.parametrize("scopes", [[], ["write"], ["read", "*"]])
async def test_scopes(database: Database, scopes: list[str]) -> None:
    with pytest.raises(RefusedError, match="no such scope"):
        await ApiTokens(database).add("app", scopes, NOW)


async def test_keys_stand_for_the_first_body(database: Database) -> None:
    tokens = ApiTokens(database)
    one, two = b"1" * 32, b"2" * 32
    assert await tokens.note_submission(1, "k", one, "a", NOW) == (one, "a")
    assert await tokens.note_submission(1, "k", two, "b", NOW) == (one, "a")
    assert await tokens.note_submission(2, "k", two, "b", NOW) == (two, "b")
    assert await tokens.submitted(1, "k") == (one, "a")
    assert await tokens.forget_submissions(NOW + 1) == 2
    assert await tokens.submitted(1, "k") is None


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capsys)


def test_the_commands(tmp_path: Path, run: Run) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[queue]\npath = "queue.db"\n[delivery]\nhostname = "mx.example.com"\n')
    at = ("-c", config)
    made = run("tokens", "add", "app", "-s", "submit", "-s", "read", "--expires", "90d", *at)
    assert (made.code, made.out.startswith(PREFIX)) == (0, True)
    assert "cannot be shown again" in made.err
    assert run("tokens", "add", "app", "-s", "read", *at).code == 1
    assert run("tokens", "add", "b", "-s", "write", *at).code == 1
    assert run("tokens", "add", "b", "-s", "read", "--expires", "soon", *at).code == 2
    rotated = run("tokens", "rotate", "app", "--grace", "1h", "--json", *at)
    assert rotated.json["secret"] != made.out.strip()
    (app, old) = run("tokens", "list", "--json", *at).json
    assert (app["name"], app["scopes"], app["expires_at"]) == ("app", ["submit", "read"], None)
    assert old["name"].startswith("app~")
    assert "secret" not in app
    listed = run("tokens", "list", *at).rows
    assert [row[:3] for row in listed if row[0] == "app"] == [["app", "submit,read", "works"]]
    assert run("tokens", "revoke", "app", *at).out == "app is revoked\n"
    assert {row[2] for row in run("tokens", "list", *at).rows} <= {"revoked", "state"}
    assert run("tokens", "revoke", "nobody", *at).code == 3
