"""One conversation of the sink: a provider's profile on the outside, behaviours by recipient.

What is well-formed is decided here, who is taken in `reception`. Whatever is answered is recorded
first, so that a client never believes more than the record says.
"""

import asyncio
import re
from typing import Final

from ekiden.sink.behaviours import Do, behaviour_of
from ekiden.sink.profiles import GENERIC, Profile, reply_lines
from ekiden.sink.reception import Recipient, Shared, at_the_door, at_the_mailbox
from ekiden.sink.record import Facts, Line, facts_of
from ekiden.smtpd.dialogue import Dialogue
from ekiden.smtpd.wire import text

# RFC 5321 section 4.1.2, leniently: Japanese carriers have addresses like a..b@docomo.ne.jp.
_PATH: Final = re.compile(
    rb'(?i:FROM|TO):\s*<((?:"(?:[^"\\]|\\.)*"|[^<>"\s@]+)@[^<>\s@]+|)>(?:\s+(.*))?\Z', re.DOTALL
)
_OK: Final = b"250 2.1.0 Ok\r\n"
_RCPT_OK: Final = b"250 2.1.5 Ok\r\n"
_NO_FACTS: Final = Facts()


class Conversation(Dialogue):
    """One session with a client.

    Args:
        shared: What the sink's conversations share.
        profile: The provider that this address plays; None when the recipient decides.
        hostname: The name of this address; empty for the sink's own.
        site: Whose caps are counted here; empty for the profile's name.
    """

    bodies = Dialogue.bodies | {b"BINARYMIME"}
    verified = b"252 2.0.0 Send some mail, I'll try my best\r\n"

    def __init__(
        self, shared: Shared, profile: Profile | None, hostname: str = "", site: str = ""
    ) -> None:
        size = (profile or shared.profiles.of("")).size
        super().__init__(
            hostname=hostname or shared.hostname,
            tls=None if profile is not None and profile.tls == "none" else shared.tls,
            size=size,
            timeout=shared.idle,
            running=shared.running,
        )
        self._shared = shared
        self._bound = profile  # by the address, or by the first recipient
        self._site = site or (profile.name if profile is not None else "")
        self._address_bound = profile is not None
        self._entered = False
        self._name = shared.number()
        self._sender: str | None = None
        self._recipients: list[Recipient] = []
        self._tried = 0  # RCPT commands of this transaction
        self._transactions = 0
        self._messages = 0
        self._chunks: list[bytes] = []
        self._chunked = 0
        self._local = self._peer = self._peer_host = ""
        self.verbs |= {
            b"MAIL": self._on_mail,
            b"RCPT": self._on_rcpt,
            b"DATA": self._on_data,
            b"BDAT": self._on_bdat,
        }

    # --- the session ---------------------------------------------------------------------------

    async def greet(self) -> None:
        """Greet; or refuse a session over the cap of this provider for this client."""
        transport = self.transport
        if transport is None:
            return
        self._peer_host, peer_port = transport.get_extra_info("peername")[:2]
        local_host, local_port = transport.get_extra_info("sockname")[:2]
        self._peer, self._local = f"{self._peer_host}:{peer_port}", f"{local_host}:{local_port}"
        if len(self._shared.running) > self._shared.connections:
            self.gather(b"421 4.3.2 Too many connections\r\n")
            await self.hang_up()
        if self._bound is not None and not self._enter(self._bound):
            await self._over_cap(self._bound)
        words = (self._bound or self._shared.profiles.of("")).replies["greeting"].reply
        self.gather(reply_lines(self._say(words)))
        await self.flush()

    def _enter(self, profile: Profile) -> bool:
        if not self._shared.ledger.enter(
            profile.name, self._site, self._peer_host, profile.sessions
        ):
            return False
        self._entered = True
        self._write_frame("open", profile.name)
        return True

    async def _over_cap(self, profile: Profile) -> None:
        if profile.resets:
            self._write_frame("refused", profile.name)
            await self.hang_up(reset=True)
        words = self._say(profile.replies["session_cap"].reply)
        self._write_frame("refused", profile.name, words)
        self.gather(reply_lines(words))
        await self.hang_up()

    def farewell(self) -> None:
        """Give the session back to the provider's count."""
        if self._entered and self._bound is not None:
            self._entered = False
            self._shared.ledger.leave(self._bound.name, self._site, self._peer_host)
            self._write_frame("close", self._bound.name)

    def _write_frame(self, kind: str, provider: str, reply: str = "") -> None:
        ledger = self._shared.ledger
        self._shared.record.write(
            Line(
                kind=kind,
                time=self._shared.clock(),
                session=self._name,
                provider=provider,
                site=self._site,
                local=self._local,
                peer=self._peer,
                ehlo=self.client,
                tls=self.security,
                stage="connect",
                reply=reply,
                open=ledger.count(provider).open,
                open_peer=ledger.open_at(self._site, self._peer_host),
            )
        )

    # --- commands ------------------------------------------------------------------------------

    def extensions(self) -> list[str]:
        """Return what EHLO offers: what the provider does."""
        profile = self._bound or self._shared.profiles.of("")
        return [f"SIZE {self.size_limit}", *profile.extensions, "ENHANCEDSTATUSCODES"]

    def begin(self) -> None:
        """Forget the transaction that had begun."""
        self._sender = None
        self._recipients = []
        self._tried = 0
        self._chunks = []
        self._chunked = 0

    async def _on_mail(self, argument: bytes) -> None:
        if not self.client:
            self.gather(b"503 5.5.1 Error: send HELO/EHLO first\r\n")
            return
        if self._sender is not None:
            self.gather(b"503 5.5.1 Error: nested MAIL command\r\n")
            return
        profile = self._bound or self._shared.profiles.of("")
        if profile.tls == "required" and self.tls_context is not None and not self.security:
            self._refuse("mail", profile.replies["tls_required"].reply)
            return
        found = _PATH.match(argument)
        if found is None or argument[:1].upper() != b"F":
            self.gather(b"501 5.5.4 Syntax: MAIL FROM:<address>\r\n")
            return
        wrong = self.parameters(found.group(2) or b"")
        if wrong:
            self.gather(wrong)
            return
        self._transactions += 1
        if self._transactions > profile.messages and self._bound is not None:
            self._sender = text(found.group(1))
            self._refuse("mail", profile.replies["message_cap"].reply)
            await self.hang_up()
        self._sender = text(found.group(1))
        self.gather(_OK)

    async def _on_rcpt(self, argument: bytes) -> None:
        if self._sender is None:
            self.gather(b"503 5.5.1 Error: need MAIL command\r\n")
            return
        found = _PATH.match(argument)
        if found is None or argument[:1].upper() != b"T" or not found.group(1) or found.group(2):
            self.gather(b"501 5.1.3 Syntax: RCPT TO:<address>\r\n")
            return
        address = text(found.group(1))
        profile = self._shared.profiles.of(address.rpartition("@")[2])
        if self._bound is None:
            # At an address that plays everybody, the first recipient says whom.
            self._bound = profile
            domain = address.rpartition("@")[2].casefold()
            self._site = domain if profile.name == GENERIC else profile.name
            if not self._enter(profile):
                await self._over_cap(profile)
        self._tried += 1
        await self._judge(Recipient(address, behaviour_of(address.rpartition("@")[0]), profile))

    async def _judge(self, recipient: Recipient) -> None:
        foreign = self._address_bound and recipient.profile is not self._bound
        refusal = at_the_door(
            self._shared, recipient, self._peer_host, foreign=foreign, tried=self._tried
        )
        if refusal is not None:
            self._refuse("rcpt", refusal.words, recipient)
        else:
            await self._behave(recipient)

    async def _behave(self, recipient: Recipient) -> None:
        behaviour = recipient.behaviour
        if behaviour.do is Do.SLOW:
            await self.flush()
            await asyncio.sleep(self._shared.timing.slow)
        elif behaviour.do in {Do.CLOSE, Do.RESET}:
            self._note("rcpt", "", recipient, answered=False)
            await self.hang_up(reset=behaviour.do is Do.RESET)
        elif behaviour.do is Do.RAW:
            self._note("rcpt", text(behaviour.raw[:80]), recipient)
            self.gather(behaviour.raw)
            return
        refusal = at_the_mailbox(self._shared, recipient, self._peer_host, self._sender or "")
        if refusal is None:
            self._recipients.append(recipient)
            self.gather(_RCPT_OK)
            return
        self._refuse("rcpt", refusal.words, recipient, refusal.seconds)
        if refusal.words.startswith("421"):
            await self.hang_up()  # RFC 5321 section 3.8

    # --- the message ---------------------------------------------------------------------------

    async def _on_data(self, argument: bytes) -> None:
        if argument:
            self.gather(b"501 5.5.4 Syntax: DATA\r\n")
            return
        if self._chunks:
            self.gather(b"503 5.5.1 Error: BDAT has begun\r\n")
            return
        if self._sender is None or not self._recipients:
            # RFC 2920 section 3.1: with all recipients refused a client may still send DATA.
            self.gather(b"554 5.5.1 Error: no valid recipients\r\n")
            return
        self.gather(b"354 End data with <CR><LF>.<CR><LF>\r\n")
        await self._take(await self.body())

    async def _on_bdat(self, argument: bytes) -> None:
        """RFC 3030 section 2: octets follow the command, without a 354 and without dots."""
        size, _, last = argument.partition(b" ")
        if not size.isdigit() or last.upper() not in {b"", b"LAST"} or len(size) > 12:
            self.gather(b"501 5.5.4 Syntax: BDAT size [LAST]\r\n")
            await self.hang_up()
        await self.flush()
        left = int(size)
        while left:
            part = await self._reader.read(min(left, 256 * 1024))
            if not part:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(part)
            self._chunked += len(part)
            if self._chunked <= self.size_limit:
                self._chunks.append(part)
        if self._sender is None or not self._recipients:
            self.begin()
            self.gather(b"554 5.5.1 Error: no valid recipients\r\n")
        elif not last:
            self.gather(f"250 2.0.0 {int(size)} octets received\r\n".encode())
        else:
            message = b"".join(self._chunks)
            await self._take(message if self._chunked <= self.size_limit else None, bdat=True)

    async def _take(self, message: bytes | None, *, bdat: bool = False) -> None:
        recipients = self._recipients
        if message is None:
            for recipient in recipients:
                self._note("body", recipient.profile.replies["toolarge"].reply, recipient)
            self._answer(recipients[0], recipients[0].profile.replies["toolarge"].reply)
        elif not bdat and message.count(b"\n") != message.count(b"\r\n"):
            # RFC 5321 section 2.3.8; how SMTP smuggling begins.
            words = "550 5.6.11 Bare LF in the message"
            for recipient in recipients:
                self._note("body", words, recipient)
            self._answer(recipients[0], words)
        else:
            await self._settle(recipients, message)
        self.begin()

    async def _settle(self, recipients: list[Recipient], message: bytes) -> None:
        # One reply speaks for all recipients: the first that refuses decides (RFC 5321 4.2.5).
        decisive = next(
            (one for one in recipients if one.behaviour.do is not Do.ACCEPT), recipients[0]
        )
        behaviour, profile = decisive.behaviour, decisive.profile
        words = self._say(
            profile.replies[
                behaviour.words if behaviour.do is Do.REFUSE_BODY else "accepted"
            ].reply,
            decisive,
        )
        if behaviour.do is Do.SLOW:
            await asyncio.sleep(self._shared.timing.slow)
        taken = behaviour.do is not Do.REFUSE_BODY
        if taken:
            self._messages += 1
            if self._shared.keep is not None:
                self._shared.keep(self._name, self._messages, message)
        dropped = behaviour.do is Do.DROP
        facts = facts_of(message)
        for recipient in recipients:
            self._note("body", words, recipient, taken=taken, answered=not dropped, facts=facts)
        if dropped:
            await self.hang_up()
        if behaviour.do is Do.RAW_BODY:
            self.gather(behaviour.raw)
        else:
            self.gather(reply_lines(words))

    # --- saying and recording ------------------------------------------------------------------

    def _say(self, words: str, recipient: Recipient | None = None, seconds: float = 0.0) -> str:
        if "{" not in words:
            return words
        address = recipient.address if recipient else ""
        sender = self._sender or ""
        return words.format(
            recipient=address,
            domain=address.rpartition("@")[2],
            sender=sender,
            sender_domain=sender.rpartition("@")[2],
            peer=self._peer_host,
            host=self.hostname,
            seconds=max(1, round(seconds + 0.5)),
            size=self.size_limit,
            queue_id=f"{self._name}.{self._messages}",
        )

    def _answer(self, recipient: Recipient | None, words: str) -> None:
        self.gather(reply_lines(self._say(words, recipient)))

    def _refuse(
        self, stage: str, words: str, recipient: Recipient | None = None, seconds: float = 0.0
    ) -> None:
        said = self._say(words, recipient, seconds)
        self._note(stage, said, recipient)
        self.gather(reply_lines(said))

    def _note(
        self,
        stage: str,
        reply: str,
        recipient: Recipient | None,
        *,
        taken: bool = False,
        answered: bool = True,
        facts: Facts = _NO_FACTS,
    ) -> None:
        shared = self._shared
        profile = recipient.profile if recipient else self._bound
        provider = profile.name if profile else ""
        counts = shared.ledger.count(provider)
        if taken:
            counts.accepted += 1
        else:
            counts.rejected += 1
        shared.record.write(
            Line(
                kind="transaction",
                time=shared.clock(),
                session=self._name,
                provider=provider,
                site=self._site,
                local=self._local,
                peer=self._peer,
                ehlo=self.client,
                tls=self.security,
                sender=self._sender or "",
                recipient=recipient.address if recipient else "",
                stage=stage,
                reply=reply,
                accepted=taken,
                answered=answered,
                size=facts.size,
                sha256=facts.sha256,
                message_id=facts.message_id,
                dkim=facts.dkim,
            )
        )
