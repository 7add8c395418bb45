"""Haraka with its DKIM plugin: two processes, on Node.js, installed from npm into bench/out."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import ClassVar

from bench.cage import Cage
from bench.senders import SkippedError
from bench.smtp_senders import SmtpSender, rsa_key
from bench.work import DOMAIN, address, destination

_PACKAGE = {
    "private": True,
    "dependencies": {"Haraka": "3.3.4", "haraka-plugin-dkim": "1.3.1"},
    # What these two names resolve to otherwise is too new for Haraka 3.3.
    "overrides": {"libqp": "2.1.1", "encoding-japanese": "2.2.0"},
}
_PLUGIN = """\
const routes = require(require('path').join(__dirname, '..', 'routes.json'))
exports.hook_mail = (next, connection) => { connection.relaying = true; next(OK) }
exports.hook_rcpt = (next, connection) => { connection.relaying = true; next(OK) }
exports.hook_get_mx = (next, item, domain) =>
  next(OK, { exchange: routes[domain].host, port: routes[domain].port, priority: 0 })
"""
_HOME = Path(__file__).parent / "out" / "haraka"


class Haraka(SmtpSender):
    """See the module."""

    name = "Haraka + DKIM"
    algorithms: ClassVar[tuple[str, ...]] = ("rsa",)

    @classmethod
    def prepare(cls, workspace: Path) -> None:  # noqa: ARG003 - it is kept, not fetched each time
        if shutil.which("npm") is None:
            raise SkippedError("npm is not installed")
        if (_HOME / "node_modules" / "Haraka").exists():
            return
        _HOME.mkdir(parents=True, exist_ok=True)
        (_HOME / "package.json").write_text(json.dumps(_PACKAGE), "ascii")
        command = ["npm", "install", "--no-audit", "--no-fund", "--omit=dev"]
        done = subprocess.run(command, cwd=_HOME, capture_output=True, check=False)
        if done.returncode:
            raise SkippedError(f"npm install failed: {done.stderr.decode()[-300:]}")

    def start(self) -> None:
        root, port = self.bench.directory, self.bench.sink.port
        for folder in ("config/dkim", "plugins", "queue"):
            (root / folder).mkdir(parents=True)
        rsa_key(root / "config/dkim.private.key", DOMAIN)
        files = {
            "config/smtp.ini": f"listen=127.0.0.1:{self.port}\nnodes=2\n",
            "config/plugins": "dkim\nbench\n",
            "config/dkim.ini": f"[sign]\nenabled=true\nselector=bench\ndomain={DOMAIN}\n"
            "[canon]\nbody=relaxed\n[verify]\nenabled=false\n",
            "config/outbound.ini": "concurrency_max=100\nenable_tls=false\n",
            "config/log.ini": "level=warn\n",
            "config/me": "mail.sender.example\n",
            "plugins/bench.js": _PLUGIN,
            "routes.json": json.dumps(
                {
                    destination(n): {"host": address(n), "port": port}
                    for n in range(self.bench.work.destinations)
                }
            ),
        }
        for name, text in files.items():
            (root / name).write_text(text, "ascii")
        shutil.copy(_HOME / "node_modules/Haraka/config/connection.ini", root / "config")
        (root / "node_modules").symlink_to(_HOME / "node_modules")
        command = ["node", str(_HOME / "node_modules/Haraka/bin/haraka"), "-c", str(root)]
        self.cage = Cage(command, root / "haraka.log")
        self.wait_until_it_listens()
