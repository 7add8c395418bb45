"""OpenSMTPD with its DKIM filter; it has one queue and one control socket a machine."""

import shutil
import stat
import tempfile
from pathlib import Path
from typing import ClassVar

from bench.cage import Cage
from bench.exim import unpacked, user
from bench.senders import SkippedError
from bench.smtp_senders import SmtpSender, rsa_key
from bench.work import DOMAIN, address, destination

_CONFIG = """\
filter sign proc-exec "filter-dkimsign -a rsa-sha256 -c relaxed/relaxed -d {domain} -s bench \
-k {root}/bench.pem"
smtp max-message-size 50M
smtp limit max-mails 100000
mta limit max-conn-per-host 100
mta limit max-conn-per-relay 100
mta limit max-conn-per-route 20
mta limit max-conn-per-connector 100
mta limit session-mail-max 500
mta limit conn-delay-route 0
listen on 127.0.0.1 port {port} filter sign hostname mail.sender.example
{actions}
{matches}
"""
_HELPERS = Path("/usr/libexec/opensmtpd")


class OpenSmtpd(SmtpSender):
    """See the module. It takes no pipelined commands."""

    name = "OpenSMTPD + dkimsign"
    algorithms: ClassVar[tuple[str, ...]] = ("rsa",)
    sessions: ClassVar[int] = 6
    pipelining: ClassVar[bool] = False

    @classmethod
    def prepare(cls, workspace: Path) -> None:  # noqa: ARG003 - nothing to fetch
        unpacked("smtpd")
        for name in ("opensmtpd", "opensmtpq"):
            user(name)
        if shutil.which("filter-dkimsign", path=str(_HELPERS)) is None:
            raise SkippedError(f"there is no filter-dkimsign in {_HELPERS}")
        if not Path(tempfile.gettempdir()).stat().st_mode & stat.S_IWOTH:
            raise SkippedError("its filter writes below /tmp as another user (chmod 1777 /tmp)")

    def start(self) -> None:
        root, port = self.bench.directory, self.bench.sink.port
        key = rsa_key(root / "bench.pem", DOMAIN)
        shutil.chown(key, "opensmtpd")
        places = range(self.bench.work.destinations)
        config = root / "smtpd.conf"
        config.write_text(
            _CONFIG.format(
                domain=DOMAIN,
                root=root,
                port=self.port,
                actions="\n".join(
                    f'action "r{n}" relay host smtp://{address(n)}:{port}' for n in places
                ),
                matches="\n".join(
                    f'match from any for domain "{destination(n)}" action "r{n}"' for n in places
                ),
            ),
            "ascii",
        )
        command = [str(unpacked("smtpd")), "-d", "-f", str(config)]
        self.cage = Cage(command, root / "smtpd.log")
        self.wait_until_it_listens()
