"""Exim with DKIM: delivers each message at once, as its own documents advise for speed.

Mailers that Debian does not install beside Postfix are looked for where `EKIDEN_MTAS` says, too
(`.ci/receivers DIRECTORY` unpacks them there).
"""

import os
import pwd
import shutil
from pathlib import Path
from typing import ClassVar

from bench.cage import Cage
from bench.senders import SkippedError
from bench.smtp_senders import SmtpSender, rsa_key
from bench.work import DOMAIN, address, destination

_CONFIG = """\
exim_path = {program}
spool_directory = {root}/spool
log_file_path = {root}/log/%slog
primary_hostname = mail.sender.example
local_interfaces = <; [127.0.0.1]:{port}
acl_smtp_rcpt = accept
acl_smtp_data = accept
host_lookup =
rfc1413_hosts =
recipient_unqualified_hosts =
split_spool_directory
smtp_accept_max = 100
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 0
queue_run_max = 20
deliver_drop_privilege
keep_environment =
tls_advertise_hosts =
begin acl
accept:
  accept
begin routers
all:
  driver = manualroute
  domains = *
  route_data = ${{lookup{{$domain}}lsearch{{{root}/routes}}}}
  transport = out
  self = send
begin transports
out:
  driver = smtp
  allow_localhost
  hosts_try_auth =
  tls_tempfail_tryclear = false
  hosts_avoid_tls = *
  connection_max_messages = 500
  dkim_domain = {domain}
  dkim_selector = bench
  dkim_private_key = {root}/bench.pem
  dkim_canon = relaxed
begin retry
* * F,1h,1m
"""


def unpacked(name: str) -> Path:
    """Return a program that is installed, or unpacked where `EKIDEN_MTAS` says.

    Raises:
        SkippedError: It is neither, or we are not root.
    """
    if os.getuid() != 0:
        raise SkippedError("it needs root")
    beside = os.environ.get("EKIDEN_MTAS", "")
    places = [f"{beside}/usr/sbin"] if beside else []
    found = shutil.which(name, path=os.pathsep.join([*places, "/usr/sbin", "/usr/bin"]))
    if found is None:
        raise SkippedError(f"there is no {name} (.ci/receivers DIRECTORY, EKIDEN_MTAS=DIRECTORY)")
    return Path(found)


def user(name: str) -> pwd.struct_passwd:
    """Return a user that a mailer runs as.

    Raises:
        SkippedError: There is none.
    """
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise SkippedError(f"there is no user {name}") from None


class Exim(SmtpSender):
    """See the module."""

    name = "Exim"
    algorithms: ClassVar[tuple[str, ...]] = ("rsa",)

    @classmethod
    def prepare(cls, workspace: Path) -> None:  # noqa: ARG003 - nothing to fetch
        unpacked("exim4")
        user("Debian-exim")

    def start(self) -> None:
        root, owner = self.bench.directory, user("Debian-exim")
        for folder in ("spool", "log"):
            (root / folder).mkdir()
            os.chown(root / folder, owner.pw_uid, owner.pw_gid)
        os.chown(rsa_key(root / "bench.pem", DOMAIN), owner.pw_uid, owner.pw_gid)
        (root / "routes").write_text(
            "".join(
                f"{destination(n)}: {address(n)}::{self.bench.sink.port}\n"
                for n in range(self.bench.work.destinations)
            ),
            "ascii",
        )
        config, program = root / "exim.conf", unpacked("exim4")
        config.write_text(
            _CONFIG.format(root=root, port=self.port, program=program, domain=DOMAIN), "ascii"
        )
        command = [str(program), "-C", str(config), "-bdf", "-q1m"]
        self.cage = Cage(command, root / "exim.log")
        self.wait_until_it_listens()
