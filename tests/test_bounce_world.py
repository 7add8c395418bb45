"""What the world's mail hosts say, and what must follow: the wording is theirs, the hosts are ours.

These are replies of well-known servers and services, one or two of each kind, grouped by what must
follow. A rule may change, and a class may be split; what follows must not.
"""

import pytest

from ekiden.bounce.classify import Action, Classifier, ReplyContext, stage_of

CLASSIFIER = Classifier.load()

SUPPRESS = [
    "550 5.1.1 <nobody@example.com>: Recipient address rejected: User unknown in relay recipient table",
    "550 5.1.1 nobody@example.com User unknown; rejecting",
    "550 #5.1.1 Recipient not found <nobody@example.com>",
    "550 5.1.1 RESOLVER.ADR.ExRecipNotFound; not found",
    "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient nobody@example.com not found by SMTP address lookup",
    "550 5.4.1 Recipient address rejected: Access denied. [AM0EUR02FT012.eop-EUR02.prod.protection.outlook.com]",
    "550 no such user",
    "550 Unrouteable address",
    "550 5.1.1 unknown or illegal user: nobody@example.com",
    "553 sorry, this recipient is not in my validrcptto list (#5.7.1)",
    "550 sorry, no mailbox here by that name. (#5.7.17)",
    "554 5.7.1 Recipient address rejected: user nobody@example.com does not exist",
    '550 5.1.1 Mailbox "nobody" does not exist',
    "550 5.1.1 The user does not exist.",
    "550 Requested action not taken: mailbox unavailable or not local",
    "550 5.1.1 No such mailbox",
    "550 Address unknown",
    "550 5.0.0 <nobody@example.com>... User unknown",
    "550 unknown user <nobody@example.com>",
    "550 RCPT TO:<nobody@example.com> User unknown",
    "550 5.1.1 Recipient undeliverable: invalid mailbox",
    "550 Invalid Recipient - https://community.mimecast.com/docs/DOC-1369#550 [abc]",
    "550 5.1.1 User Unknown (in reply to RCPT TO command)",
    "551 not our customer",
    "550 non-existent user",
    "550 not a valid mailbox",
    "511 5.1.1 unknown address or alias",
    "550 5.1.1 <nobody@example.com> is not a valid mailbox",
    "550 5.2.1 This mailbox has been blocked due to inactivity",
    "550 5.1.1 Account closed",
    "550 5.7.1 This account has been disabled",
    "550 User suspended",
    "554 30 Sorry, your message to nobody@yahoo.com cannot be delivered. This mailbox is disabled (554.30).",
    "550 5.2.1 The user's mailbox is inactive",
    "550 5.1.1 mailbox disabled for this recipient",
    "550-5.2.1 The email account that you tried to reach is disabled.",
    "550 5.1.2 Bad destination host 'DNS Hard Error looking up gone.invalid (MX): NXDOMAIN'",
    "550 Host unknown",
    "556 5.1.10 Domain does not accept mail (nullMX)",
    "550 5.1.1 Adresse inconnue",
    "550 5.1.1 Boite aux lettres inexistante",
    "550 5.1.1 Empfaenger unbekannt",
    "550 El buzon no existe",
    "550 5.1.1 Usuario desconocido",
    "550 Endereco de destinatario desconhecido",
    "550 5.1.1 Destinatario sconosciuto",
    "550 \u041d\u0435\u0442 \u0442\u0430\u043a\u043e\u0433\u043e \u043f\u043e\u043b\u044c\u0437\u043e\u0432\u0430\u0442\u0435\u043b\u044f",
    "550 \u6536\u4ef6\u4eba\u4e0d\u5b58\u5728",
    "550 User not found: nobody@163.com",
    "550 5.1.1 Recipient not exists (nobody@naver.com)",
    "553 5.1.2 The address specified is not known: nobody@example.com",
    "550 5.1.6 recipient no longer on server: nobody@example.com",
    "501 5.1.3 Bad recipient address syntax",
]

NEVER_SUPPRESS_BLOCKED = [
    "554 5.7.1 Service unavailable; Client host [198.51.100.7] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/198.51.100.7",
    "550 5.7.1 Service unavailable, Client host [198.51.100.7] blocked using Spamhaus. To request removal from this list see https://www.spamhaus.org/query/ip/198.51.100.7 (AS16012609)",
    "554 5.7.1 <nobody@example.com>: Recipient address rejected: Your MTA is listed in too many DNSBLs",
    "550 Rejected because 198.51.100.7 is in a black list at bl.spamcop.net",
    "554 5.7.1 Blocked - see https://www.barracudacentral.org/reputation?pr=1&ip=198.51.100.7",
    "521 5.7.1 Service unavailable; client [198.51.100.7] blocked using b.barracudacentral.org",
    "554 5.7.0 Blocked - see https://support.proofpoint.com/dnsbl-lookup.cgi?ip=198.51.100.7",
    "550 5.7.1 Mail from IP 198.51.100.7 was rejected due to listing in Spamhaus SBL.",
    "421 Service not available. Refused. Your IP address is listed in the RBL at bl.mailspike.net",
    "550 5.1.0 198.51.100.7 has been blacklisted by dnsbl-1.uceprotect.net",
    "550 Blocked by Abusix, see https://lookup.abusix.com/search?q=198.51.100.7",
    "554 5.7.1 Service unavailable; Client host [198.51.100.7] blocked using Trend Micro RBL+. Please see http://www.mail-abuse.com/cgi-bin/lookup?ip_address=198.51.100.7",
    "550 5.7.606 Access denied, banned sending IP [198.51.100.7]; To request removal from this list please visit https://sender.office.com/",
    "550 SC-001 (BAY004-MC1F5) Unfortunately, messages from 198.51.100.7 weren't sent. Please contact your Internet service provider since part of their network is on our block list.",
    "554 Your access to this mail system has been rejected due to the sending MTA's poor reputation. If you believe that this failure is in error, please contact the intended recipient via alternate means.",
    "554 IP=198.51.100.7 - A problem occurred. (Ask your postmaster for help or to contact tosa@rx.t-online.de to clarify.)",
    "554-gmx.net (mxgmx117) Nemesis ESMTP Service not available 554-No SMTP service 554 IP address is block listed.",
    "550 5.7.1 Our system has detected an unusual rate of unsolicited mail originating from your IP address.",
    "553 5.7.1 [BL21] Connections will not be accepted from 198.51.100.7, because the ip is in Spamhaus's list",
    "554 5.7.1 You are not allowed to connect, your IP is banned",
    "550 Dynamic/Generic hostnames are refused; use your ISP's mail server",
]

FIX_SENDER = [
    "550 5.7.1 SPF check failed: 198.51.100.7 is not allowed to send mail from example.com",
    "550 5.7.23 The message was rejected because of Sender Policy Framework violation",
    "554 5.7.5 Permanent error evaluating DMARC policy",
    "550 5.7.1 Unauthenticated email from example.com is not accepted due to domain's DMARC policy.",
    "550 5.7.509 Access denied, sending domain example.com does not pass DMARC verification and has a DMARC policy of reject.",
    "550 5.7.515 Access denied, sending domain example.com does not meet the required authentication level.",
    "554 5.7.9 Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes DMARC",
    "550 5.7.1 DKIM signature did not verify",
    "550 Reverse DNS lookup failed for host 198.51.100.7",
    "450 4.7.25 Client host rejected: cannot find your hostname, [198.51.100.7]",
    "554 5.7.1 Client host rejected: cannot find your reverse hostname, [198.51.100.7]",
    "550 5.7.25 The IP address sending this message does not have a PTR record setup",
    "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname",
    "550 HELO argument does not match calling host",
    "553 5.1.8 Domain of sender address a@gone.invalid does not exist",
    "550 5.1.0 Sender rejected: domain gone.invalid not found",
    "550 Verification failed for <a@example.com> Sender verify failed",
    "554 5.7.1 <nobody@example.com>: Relay access denied",
    "550 5.7.1 Unable to relay",
    "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
    "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
    "530 5.7.1 Authentication required",
    "535 5.7.8 Error: authentication failed",
    "501 5.5.4 Invalid arguments",
    "500 5.5.2 Error: bad syntax",
    "503 5.5.1 Error: need MAIL command",
    "550 5.7.1 This message is not RFC 5322 compliant, the issue is: missing or multiple From headers.",
    "554 Message refused by policy",
]

CONTENT = [
    "550 5.7.1 Message content rejected due to suspected spam. IB702",
    "554 5.7.1 Spam message rejected",
    "550 High probability of spam",
    "552 spam score (11.0) exceeded threshold",
    "554 5.7.1 [P4] Message blocked due to spam content in the message.",
    "550 This message was classified as SPAM and may not be delivered",
    "554 5.7.1 Message detected as spam by our content filters",
    "550-5.7.1 Our system has detected that this message is likely unsolicited mail.",
    "554 DT:SPM 163 mx11,UMCowABXW please see http://mail.163.com/help/help_spam_16.htm",
    "550 Mail content denied. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000726",
    "550 5.7.0 Virus found in message",
    "552 5.3.4 Message size exceeds fixed limit",
    "552 5.3.4 Error: message file too big",
    "523 the message size exceeds limit",
    "550 5.2.3 Message too large",
    "554 5.6.1 Attachment type not allowed: .exe",
    "554 5.7.1 The file invoice.zip contains a banned extension",
    "554 rejected due to content: see https://www.surbl.org/",
]

FULL = [
    "552 5.2.2 Over quota",
    "452 4.2.2 <a@example.com>: Mailbox is full",
    "554 5.2.2 mailbox full",
    "550 5.2.2 User has exceeded mailbox quota",
    "552 Quota violation for a@example.com",
    "452 4.1.1 <a@example.com> mailbox full",
    "550 Mailbox quota exceeded",
    "552 Mailbox limit exceeded for this email address",
    "550 5.7.1 <a@example.com>: Recipient address rejected: Mailbox over quota",
    "452-4.2.2 The recipient's inbox is out of storage space.",
    "550 552 5.2.2 Mailbox size limit exceeded 1710245555-115401-1-Mz",
    "554 5.2.2 STOREDRV.Deliver.Exception:QuotaExceededException; Failed to process message due to a permanent exception",
    "552 5.2.2 Das Postfach ist voll",
    "552 Boite pleine, boite du destinataire pleine",
]

SLOWER = [
    "421 4.7.0 [TSS04] Messages from 198.51.100.7 temporarily deferred due to unexpected volume or user complaints",
    "421 4.7.0 Too many connections from your IP",
    "421 too many concurrent SMTP connections; please try again later.",
    "450 4.7.1 Error: too much mail from 198.51.100.7",
    "451 4.7.1 You have exceeded the maximum number of messages allowed per hour",
    "452 4.5.3 Too many recipients",
    "421 4.3.2 Your IP has been rate limited, try again later",
    "450-4.2.1 The user you are trying to contact is receiving mail too quickly.",
    "421 RL000010 Too many messages; slow down",
    "550 Connection frequency limited. http://service.mail.qq.com/cgi-bin/help",
    "450 RP:QRC 163 mx22, please see http://mail.163.com/help/help_spam_16.htm",
    "421 4.7.1 Messages to a@icloud.com deferred due to excessive volume. Try again later",
]

LATER = [
    "450 4.2.0 <a@example.com>: Recipient address rejected: Greylisted, see https://postgrey.schweikert.ch/help/example.com.html",
    "451 4.7.1 Greylisting in action, please come back later",
    "451 Temporary local problem - please try later",
    "451 4.3.0 Mail server temporarily rejected message",
    "421 4.3.0 Temporary System Problem. Try again later (10).",
    "421 Service not available, closing transmission channel",
    "452 4.3.1 Insufficient system storage",
    "451 4.4.1 Connection timed out",
    "554 5.4.6 Too many hops",
    "451 4.3.5 Server configuration problem",
    "connect to mx.example.com[198.51.100.7]:25: Connection refused",
    "Host or domain name not found. Name service error for name=mx.example.com type=A: Host not found, try again",
    "421 4.4.2 mx.example.com Error: timeout exceeded",
    "451 Internal resources are temporarily unavailable - https://community.mimecast.com/docs/DOC-1369#451 [abc]",
    "530 5.7.0 Must issue a STARTTLS command first",
    "450 4.3.2 System not accepting network messages",
]


def action(reply: str) -> Action:
    return CLASSIFIER.classify(ReplyContext(reply)).action


@pytest.mark.parametrize("reply", SUPPRESS)
def test_the_mailbox_is_gone(reply: str) -> None:
    assert action(reply) is Action.SUPPRESS_RECIPIENT


@pytest.mark.parametrize("reply", NEVER_SUPPRESS_BLOCKED)
def test_our_address_is_refused(reply: str) -> None:
    assert action(reply) is Action.BLOCKED_REPUTATION


@pytest.mark.parametrize("reply", FIX_SENDER)
def test_the_sender_must_mend_something(reply: str) -> None:
    verdict = CLASSIFIER.classify(ReplyContext(reply))
    assert verdict.action is Action.FIX_SENDER
    assert verdict.why


@pytest.mark.parametrize("reply", CONTENT)
def test_this_message_is_refused(reply: str) -> None:
    assert action(reply) is Action.CONTENT_REJECTED


@pytest.mark.parametrize("reply", FULL)
def test_the_mailbox_is_full(reply: str) -> None:
    assert action(reply) is Action.MAILBOX_FULL_RETRY


@pytest.mark.parametrize("reply", SLOWER)
def test_slow_down(reply: str) -> None:
    assert action(reply) in {Action.THROTTLE_DESTINATION, Action.BLOCKED_REPUTATION}


@pytest.mark.parametrize("reply", LATER)
def test_it_passes(reply: str) -> None:
    assert action(reply) is Action.RETRY_LATER


@pytest.mark.parametrize("stage", ["connect", "ehlo", "mail"])
@pytest.mark.parametrize("reply", SUPPRESS)
def test_before_rcpt_nobody_is_suppressed(reply: str, stage: str) -> None:
    """A receiver that has not heard of the recipient cannot mean it."""
    bare = reply.removesuffix(" (in reply to RCPT TO command)")
    verdict = CLASSIFIER.classify(ReplyContext(bare, stage=stage_of(stage)))
    assert verdict.action is not Action.SUPPRESS_RECIPIENT
