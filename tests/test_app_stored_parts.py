"""A stored template's image and attachment arrive: from the command through the daemon to a box."""

import email
import email.policy
import json
from pathlib import Path

from dkim_oracle import verdicts
from stage import SENDER, Stage
from test_app_delivery import daemon, until
from test_app_events import ekiden

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
TERMS = b"%PDF-1.4\n" + bytes(range(256)) * 100


async def test_what_a_template_holds_arrives_byte_for_byte(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "s", destinations=2, sites=1)
    stage.write()
    (tmp_path / "logo.png").write_bytes(PICTURE)
    (tmp_path / "約款.pdf").write_bytes(TERMS)
    (tmp_path / "body.html").write_text(
        '<p>{{ name }}様</p><img src="cid:logo" alt="駅伝">', "utf-8"
    )
    people = [f"success+{n}@{stage.destination(n)}" for n in range(2)]
    async with stage.receivers(store=True), stage.dns(), daemon(stage):
        arguments = ["--subject", "{{ name }}様へ", "--html", str(tmp_path / "body.html")]
        arguments += ["--image", f"logo={tmp_path / 'logo.png'}"]
        arguments += ["--attach", str(tmp_path / "約款.pdf")]
        code, said = await ekiden(stage, "templates", "add", "welcome", *arguments)
        assert code == 0, said
        job = tmp_path / "job.json"
        recipients = [{"address": one, "name": "山田"} for one in people]
        sender = f"Ekiden <news@{SENDER}>"
        job.write_text(
            json.dumps({"from": sender, "template": "welcome", "recipients": recipients})
        )
        code, said = await ekiden(stage, "submit", str(job))
        assert code == 0, said
        await until(stage.result(said.strip().removesuffix(".json")).exists)
    arrived = sorted(stage.store.glob("*.eml"))
    assert len(arrived) == len(people)
    for file in arrived:
        raw = file.read_bytes()
        assert all(verdicts(raw, stage.keys()))
        message = email.message_from_bytes(raw, policy=email.policy.default)
        leaves = [part for part in message.walk() if not part.is_multipart()]
        assert PICTURE in [part.get_content() for part in leaves if part["Content-ID"] == "<logo>"]
        assert TERMS in [part.get_content() for part in leaves if part.get_filename() == "約款.pdf"]
