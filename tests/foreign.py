"""Mail servers that nobody here wrote, run privately on a loopback port, as receivers.

Each needs root (they give up their rights themselves) and its program; without either the tests
that use them are skipped. `EKIDEN_MTAS` may name a directory with unpacked packages (`dpkg -x`),
for programs that cannot be installed beside each other.
"""

import asyncio
import contextlib
import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

POSTFIX_DAEMONS = Path("/usr/lib/postfix/sbin")


@dataclass(frozen=True)
class Foreign:
    """A running server: where it listens, what it has stored, what it has logged."""

    name: str
    root: Path
    host: str
    port: int

    @property
    def log(self) -> str:
        return "".join(
            file.read_text(errors="replace") for file in sorted((self.root / "log").iterdir())
        )

    def reload(self) -> None:
        """Make Postfix read its tables again."""
        command = ["postfix", "-c", str(self.root / "etc"), "reload"]
        subprocess.run(command, capture_output=True, check=True)

    def stored(self) -> list[bytes]:
        """Every message in the maildirs, with CRLF line ends, as the server left it."""
        files = sorted(self.root.glob("mail/**/new/*"))
        return [file.read_bytes().replace(b"\n", b"\r\n") for file in files]

    async def arrived(self, number: int, seconds: float = 20) -> list[bytes]:
        """Wait until so many messages are stored."""
        async with asyncio.timeout(seconds):
            while len(self.stored()) < number:  # noqa: ASYNC110 - another program's files
                await asyncio.sleep(0.05)
        return self.stored()


def content_of(stored: bytes, first: bytes) -> bytes:
    """What was sent: without the fields the server put before the field `first`."""
    return stored[stored.index(b"\r\n" + first) + 2 :]


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def program(name: str) -> Path:
    """The program's path; skips the test when it or root is missing."""
    if os.getuid() != 0:
        pytest.skip("a mail server of its own needs root")
    unpacked = os.environ.get("EKIDEN_MTAS")
    places = [f"{unpacked}/usr/sbin", f"{unpacked}/usr/bin"] if unpacked else []
    found = shutil.which(name, path=os.pathsep.join([*places, os.environ["PATH"], "/usr/sbin"]))
    if found is None:
        pytest.skip(f"{name} is not installed")
    return Path(found)


@contextmanager
def room() -> Iterator[Path]:
    """A directory that other users may enter (a pytest directory may not be entered)."""
    with tempfile.TemporaryDirectory(prefix="ekiden-mta-") as directory:
        root = Path(directory)
        root.chmod(0o755)
        for name in ("log", "mail"):
            (root / name).mkdir(mode=0o755)
        issued = trustme.CA().issue_cert("mx.foreign.example")
        issued.private_key_pem.write_to_path(root / "key.pem")
        issued.cert_chain_pems[0].write_to_path(root / "cert.pem")
        (root / "key.pem").chmod(0o600)
        yield root


async def listening(host: str, port: int, seconds: float = 10) -> None:
    """Wait until something listens."""
    async with asyncio.timeout(seconds):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(host, port)
                writer.close()
                return
            await asyncio.sleep(0.05)


_POSTFIX_MAIN = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.foreign.example
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 192.0.2.1/32
smtpd_peername_lookup = no
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = {restrictions}
smtpd_tls_security_level = may
smtpd_tls_cert_file = {root}/cert.pem
smtpd_tls_key_file = {root}/key.pem
smtpd_client_connection_count_limit = 0
smtpd_forbid_bare_newline = yes
virtual_mailbox_domains = regexp:{root}/domains
virtual_mailbox_maps = regexp:{root}/people
virtual_mailbox_base = {root}/mail
virtual_minimum_uid = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
alias_maps =
alias_database =
maillog_file = {root}/log/mail.log
maillog_file_prefixes = {root}
{extra}
"""
_POSTFIX_MASTER = """\
{host}:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 discard
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
showq unix n - n - - showq
flush unix n - n 1000? 0 flush
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


@asynccontextmanager
async def postfix(
    host: str = "127.0.1.1", port: int = 0, *, restrictions: str = "", extra: str = ""
) -> AsyncIterator[Foreign]:
    """Postfix: `unknown*` is no user, everyone else at `dN.example` shares a maildir."""
    program("postfix")
    if not (POSTFIX_DAEMONS / "master").exists():
        pytest.skip("Postfix's daemons are not where they are looked for")
    port = port or free_port(host)
    owner = pwd.getpwnam("postfix")
    with room() as root:
        for name in ("queue", "data", "etc"):
            (root / name).mkdir(mode=0o755)
        os.chown(root / "data", owner.pw_uid, owner.pw_gid)
        os.chown(root / "mail", owner.pw_uid, owner.pw_gid)
        (root / "domains").write_text("/^d[0-9]+\\.example$/ x\n")
        (root / "access").touch()
        (root / "people").write_text("if !/^unknown/\n/@/ all/\nendif\n")
        facts = {
            "root": root,
            "host": host,
            "port": port,
            "daemons": POSTFIX_DAEMONS,
            "restrictions": restrictions.format(root=root) or "permit",
            "uid": owner.pw_uid,
            "gid": grp.getgrnam("postfix").gr_gid,
            "extra": extra,
        }
        (root / "etc/main.cf").write_text(_POSTFIX_MAIN.format(**facts))
        (root / "etc/master.cf").write_text(_POSTFIX_MASTER.format(**facts))
        command = ["postfix", "-c", str(root / "etc")]
        started = await asyncio.to_thread(_run, [*command, "start"])
        assert started.returncode == 0, started.stderr
        try:
            await listening(host, port)
            yield Foreign("postfix", root, host, port)
        finally:
            await asyncio.to_thread(_run, [*command, "stop"])
            await _gone(root / "queue/pid/master.pid")


_EXIM = """\
exim_path = {program}
spool_directory = {root}/spool
log_file_path = {root}/log/%slog
primary_hostname = mx.foreign.example
local_interfaces = <; [{host}]:{port}
tls_advertise_hosts = *
tls_certificate = {root}/cert.pem
tls_privatekey = {root}/key.pem
chunking_advertise_hosts = *
pipelining_advertise_hosts = *
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
smtp_accept_max = 100
smtp_enforce_sync = true
received_header_text = Received: by mx.foreign.example
deliver_drop_privilege = true
never_users =
host_lookup =
rfc1413_hosts =
acl_smtp_rcpt = rcpt
acl_smtp_data = data
keep_environment =
begin acl
rcpt:
  deny local_parts = ^unknown
    message = Unknown user
{guard}
  accept domains = \\N^d[0-9]+\\.example$\\N
  deny message = relay not permitted
data:
  accept
begin routers
all:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  maildir_format
  directory = {root}/mail/all
  create_directory
  directory_mode = 0755
  mode = 0644
  mode_fail_narrower = false
{authenticators}
"""
_EXIM_AUTH = """\
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{user}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
  server_advertise_condition = ${{if def:tls_in_cipher}}
"""


@asynccontextmanager
async def exim(
    host: str = "127.0.1.1", port: int = 0, *, user: str = "", password: str = ""
) -> AsyncIterator[Foreign]:
    """Exim: `unknown*` is no user, everyone else at `dN.example` shares a maildir.

    With a user it takes mail only from who has said that name and password, which is asked for
    inside TLS alone: a smarthost.
    """
    found = program("exim4")
    owner = _user("Debian-exim")
    port = port or free_port(host)
    with room() as root:
        for name in ("spool", "log", "mail"):
            (root / name).mkdir(mode=0o755, exist_ok=True)
            os.chown(root / name, owner.pw_uid, owner.pw_gid)
        for name in ("key.pem", "cert.pem"):
            os.chown(root / name, owner.pw_uid, owner.pw_gid)
        config = root / "exim.conf"
        config.write_text(
            _EXIM.format(
                program=found,
                root=root,
                host=host,
                port=port,
                guard="  require authenticated = *" if user else "",
                authenticators=_EXIM_AUTH.format(user=user, password=password) if user else "",
            )
        )
        async with _daemon([str(found), "-C", str(config), "-bdf", "-q10m"], root, host, port):
            yield Foreign("exim", root, host, port)


_OPENSMTPD = """\
pki mx.foreign.example cert "{root}/cert.pem"
pki mx.foreign.example key "{root}/key.pem"
table domains {{ {domains} }}
table people {{ "@" = nobody }}
smtp max-message-size 50M
listen on {host} port {port} tls pki mx.foreign.example hostname mx.foreign.example
action store mda "{root}/store" virtual <people>
match from any for rcpt-to regex "^unknown" reject
match from any for domain <domains> action store
"""


@asynccontextmanager
async def opensmtpd(host: str = "127.0.1.1", port: int = 0) -> AsyncIterator[Foreign]:
    """OpenSMTPD: `unknown*` is refused, everyone else at `d0` to `d9.example` is stored.

    It offers STARTTLS, and version 6.8 with OpenSSL 3 fails every handshake: a receiver whose TLS
    is broken, as they exist.
    """
    found = program("smtpd")
    for name in ("opensmtpd", "opensmtpq"):
        _user(name)
    if shutil.which("mail.mda", path="/usr/libexec/opensmtpd") is None:
        pytest.skip("OpenSMTPD's helpers are not in /usr/libexec/opensmtpd")
    port = port or free_port(host)
    with room() as root:
        for name in ("mail/all/tmp", "mail/all/new"):
            (root / name).mkdir(parents=True)
            (root / name).chmod(0o777)
        store = root / "store"
        store.write_text(
            f"#!/bin/sh -e\ncd {root}/mail/all\n"
            "f=$(mktemp tmp/XXXXXXXXXX)\ncat > $f\nchmod 644 $f\nmv $f new\n"
        )
        store.chmod(0o755)
        config = root / "smtpd.conf"
        domains = ", ".join(f"d{n}.example" for n in range(10))
        config.write_text(_OPENSMTPD.format(root=root, host=host, port=port, domains=domains))
        async with _daemon([str(found), "-d", "-f", str(config)], root, host, port):
            yield Foreign("opensmtpd", root, host, port)


def _user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        pytest.skip(f"there is no user {name}")


@asynccontextmanager
async def _daemon(command: list[str], root: Path, host: str, port: int) -> AsyncIterator[None]:
    """Run a server in the foreground of its own process group, and end all of it."""
    with (root / "log/console").open("wb") as console:
        running = await asyncio.create_subprocess_exec(
            *command, stdout=console, stderr=console, start_new_session=True
        )
    try:
        await listening(host, port)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await running.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        await running.wait()


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


async def _gone(pid_file: Path) -> None:
    """Wait until the process of a pid file has ended, then insist."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(await asyncio.to_thread(pid_file.read_text))
        for _ in range(100):
            os.kill(pid, 0)
            await asyncio.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
