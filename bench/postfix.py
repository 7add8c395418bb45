"""Postfix, alone and with OpenDKIM: an instance of its own beside an installed one, set up to send.

Every destination has a next hop of its own, so queues and concurrency are per destination as with
real domains; limits are raised, DNS and reverse look-ups are off.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import ClassVar

from bench.cage import Cage
from bench.senders import Bench, SkippedError, wait_for
from bench.smtp_senders import SmtpSender, rsa_key
from bench.work import DOMAIN, address, destination

_MAIN = """\
compatibility_level = 3.6
queue_directory = {root}/spool
data_directory = {root}/data
command_directory = {sbin}
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.sender.example
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_tls_security_level = none
smtpd_tls_security_level = none
transport_maps = texthash:{root}/transport
alias_maps =
alias_database =
local_recipient_maps =
default_process_limit = 100
default_destination_concurrency_limit = 20
initial_destination_concurrency = 20
qmgr_message_active_limit = 20000
qmgr_message_recipient_limit = 20000
in_flow_delay = 0
smtpd_client_connection_count_limit = 0
maillog_file = {root}/log/mail.log
maillog_file_prefixes = {root}
{extra}
"""
_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
flush unix n - n 1000? 0 flush
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix(SmtpSender):
    """Postfix without DKIM: the reference for work that is not signed."""

    name = "Postfix"
    algorithms: ClassVar[tuple[str, ...]] = ("",)

    @classmethod
    def prepare(cls, workspace: Path) -> None:  # noqa: ARG003 - nothing to fetch
        if os.getuid() != 0:
            raise SkippedError("Postfix needs root for an instance of its own")
        if shutil.which("postfix", path="/usr/sbin:/usr/bin") is None:
            raise SkippedError("postfix is not installed (apt-get install postfix)")

    def start(self) -> None:
        root = self.bench.directory
        for folder in ("etc", "spool", "data", "log"):
            (root / folder).mkdir()
        shutil.chown(root / "data", "postfix")
        extra = self.milter()
        if self.bench.held:
            extra += "\nsmtpd_client_restrictions = check_client_access static:HOLD"
        daemons = subprocess.run(
            ["/usr/sbin/postconf", "-h", "daemon_directory"], capture_output=True, check=True
        ).stdout.decode()
        (root / "etc" / "main.cf").write_text(
            _MAIN.format(root=root, sbin="/usr/sbin", daemons=daemons.strip(), extra=extra), "ascii"
        )
        (root / "etc" / "master.cf").write_text(_MASTER.format(port=self.port), "ascii")
        port = self.bench.sink.port
        (root / "transport").write_text(
            "".join(
                f"{destination(n)} smtp:[{address(n)}]:{port}\n"
                for n in range(self.bench.work.destinations)
            ),
            "ascii",
        )
        self.cage = Cage(self.commands(), root / "postfix.log")
        self.wait_until_it_listens()

    def commands(self) -> list[str]:
        """Return the command that starts everything."""
        return ["/usr/sbin/postfix", "-c", str(self.bench.directory / "etc"), "start"]

    def milter(self) -> str:
        """Return the lines of main.cf that make it sign."""
        return ""

    def queued(self) -> int:
        held = self.bench.directory / "spool" / "hold"
        return sum(1 for path in held.rglob("*") if path.is_file())

    def release(self) -> None:
        etc = str(self.bench.directory / "etc")
        subprocess.run(
            ["/usr/sbin/postsuper", "-c", etc, "-H", "ALL"], check=True, capture_output=True
        )
        subprocess.run(["/usr/sbin/postqueue", "-c", etc, "-f"], check=True)

    def close(self) -> None:
        subprocess.run(
            ["/usr/sbin/postfix", "-c", str(self.bench.directory / "etc"), "abort"],
            check=False,
            capture_output=True,
        )
        super().close()


class PostfixOpenDkim(Postfix):
    """Postfix with OpenDKIM, which signs as mail comes in."""

    name = "Postfix + OpenDKIM"
    algorithms: ClassVar[tuple[str, ...]] = ("rsa",)

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._socket = bench.directory / "opendkim.sock"

    @classmethod
    def prepare(cls, workspace: Path) -> None:
        super().prepare(workspace)
        if shutil.which("opendkim", path="/usr/sbin:/usr/bin") is None:
            raise SkippedError("opendkim is not installed (apt-get install opendkim)")

    def start(self) -> None:
        root = self.bench.directory
        rsa_key(root / "bench.pem", DOMAIN)
        (root / "opendkim.conf").write_text(
            f"Mode s\nDomain {DOMAIN}\nSelector bench\nKeyFile {root}/bench.pem\n"
            "Canonicalization relaxed/relaxed\nSignatureAlgorithm rsa-sha256\nSyslog no\n"
            f"Socket local:{self._socket}\nUMask 000\nInternalHosts 127.0.0.0/8\n"
            "RequireSafeKeys no\n",
            "ascii",
        )
        (root / "start").write_text(
            f"#!/bin/sh\n/usr/sbin/opendkim -x {root}/opendkim.conf\n"
            f"exec {' '.join(super().commands())}\n",
            "ascii",
        )
        super().start()
        wait_for(self._socket.exists, seconds=10, what="OpenDKIM's start")

    def commands(self) -> list[str]:
        return ["/bin/sh", str(self.bench.directory / "start")]

    def milter(self) -> str:
        return f"smtpd_milters = unix:{self._socket}\nmilter_default_action = tempfail"
