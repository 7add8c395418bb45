"""Every deadline, byte cap and count cap on what comes from outside, in one place.

Whoever reads from the network or the spool takes its bounds from here. Times are seconds, sizes are
bytes. Where a standard names the number, the section stands beside it.
"""

from typing import Final

# --- SMTP client: deadlines per command (RFC 5321 section 4.5.3.2) ----------------------------
CONNECT_TIMEOUT: Final = 30.0  # TCP; the RFC names none, a dead host should not hold a slot longer
GREETING_TIMEOUT: Final = 300.0  # 4.5.3.2.1
EHLO_TIMEOUT: Final = 300.0
TLS_TIMEOUT: Final = 60.0
MAIL_TIMEOUT: Final = 300.0  # 4.5.3.2.2
RCPT_TIMEOUT: Final = 300.0  # 4.5.3.2.3
DATA_TIMEOUT: Final = 120.0  # 4.5.3.2.4, until the 354
BLOCK_TIMEOUT: Final = 180.0  # 4.5.3.2.5, while content is written
DOT_TIMEOUT: Final = 600.0  # 4.5.3.2.6, from the final dot to its reply
QUIT_TIMEOUT: Final = 5.0  # nothing is lost by not waiting
RSET_TIMEOUT: Final = 30.0

# --- SMTP client: writing ---------------------------------------------------------------------
WRITE_PORTION_BYTES: Final = 64 * 1024  # content handed to the transport at once
BDAT_PIPELINED_BYTES: Final = 256 * 1024  # content sent before RCPT is answered
TLS_SESSIONS_KEPT: Final = 5_000  # for resumption; one per receiving host

# --- SMTP replies (RFC 5321 section 4.5.3.1.5 allows 512 per line; the world sends more) -------
REPLY_LINE_BYTES: Final = 4096
REPLY_LINES: Final = 256
REPLY_BYTES: Final = 32 * 1024
REPLY_TEXT_KEPT: Final = 1024  # characters of a reply that are stored, logged and shown

# --- DNS ---------------------------------------------------------------------------------------
DNS_TIMEOUT: Final = 10.0  # one question, all its retries included
DNS_MX_HOSTS: Final = 20  # hosts of one destination that are looked at
DNS_ADDRESSES_PER_HOST: Final = 8
DNS_ADDRESSES_TRIED: Final = 5  # per session; as Postfix smtp_mx_address_limit
DNS_TTL_MIN: Final = 30.0
DNS_TTL_MAX: Final = 86_400.0
DNS_NEGATIVE_TTL: Final = 300.0
DNS_CACHE_ENTRIES: Final = 50_000
DNS_FAILURE_TTL: Final = 60.0  # SERVFAIL, time-out: asked again sooner than a clear "no"
DNS_ALIASES: Final = 8  # CNAMEs followed, beyond those in one answer
DNS_QUESTIONS_AT_ONCE: Final = 200

# --- Addresses (RFC 5321 section 4.5.3.1) ------------------------------------------------------
LOCAL_PART_OCTETS: Final = 64
DOMAIN_OCTETS: Final = 255
PATH_OCTETS: Final = 254

# --- Messages ----------------------------------------------------------------------------------
LINE_OCTETS: Final = 998  # RFC 5322 section 2.1.1, without CRLF
HEADER_BYTES: Final = 64 * 1024
MESSAGE_BYTES: Final = 50 * 1024 * 1024
RENDER_OUTPUT_BYTES: Final = 4 * 1024 * 1024
RENDER_STEPS: Final = 200_000  # loop iterations in one rendering

# --- Spool -------------------------------------------------------------------------------------
JOB_FILE_BYTES: Final = 1024 * 1024  # job.toml
INLINE_JOB_BYTES: Final = 64 * 1024 * 1024  # NAME.json, NAME.toml
TEMPLATE_BYTES: Final = 4 * 1024 * 1024
STORED_TEMPLATE_BYTES: Final = 500 * 1024  # all texts of one version; as Amazon SES
STORED_PARTS_BYTES: Final = 8 * 1024 * 1024  # its images and attachments together
ATTACHMENT_BYTES: Final = 25 * 1024 * 1024
ATTACHMENTS: Final = 100
ROW_BYTES: Final = 256 * 1024  # one recipient with its merge data
MERGE_FIELDS: Final = 500
RECIPIENTS: Final = 50_000_000  # of one job

# --- The sink (mailbox simulator) ----------------------------------------------------------------
SINK_CONNECTIONS: Final = 20_000  # at once, over all addresses
SINK_COMMAND_OCTETS: Final = 2048  # RFC 5321 4.5.3.1.4 says 512; extensions lengthen it
SINK_COMMANDS: Final = 100_000  # in one session
SINK_BAD_COMMANDS: Final = 20  # in one session, then 421
SINK_IDLE_TIMEOUT: Final = 300.0  # RFC 5321 4.5.3.2.7
SINK_BUFFER_BYTES: Final = 64 * 1024  # read ahead, per session

# --- The event log -------------------------------------------------------------------------------
EVENT_BUFFER_BYTES: Final = 8 * 1024 * 1024  # waiting to be written; then the exporter waits
WEBHOOK_ANSWER_BYTES: Final = 16 * 1024  # read of an answer, whose status alone counts
EVENT_LINE_BYTES: Final = 64 * 1024  # searched back from the end for the last whole line

# --- The control socket --------------------------------------------------------------------------
CONTROL_CONNECTIONS: Final = 32  # commands at once
CONTROL_CONNECT_TIMEOUT: Final = 5.0
CONTROL_READ_TIMEOUT: Final = 60.0  # until a whole request has come; an idle peer is hung up on
CONTROL_WRITE_TIMEOUT: Final = 30.0  # until the peer has taken a line
CONTROL_PART_TIMEOUT: Final = 1.0  # to hear out a peer that is being hung up on
CONTROL_ANSWER_TIMEOUT: Final = 600.0  # cancelling a job of millions takes a while
CONTROL_ANSWER_BYTES: Final = 16 * 1024 * 1024  # one line of an answer

# --- Mail that comes back ------------------------------------------------------------------------
INBOUND_KEPT_BYTES: Final = 512 * 1024  # of a returned mail that are read; what matters comes first
INBOUND_COMMANDS: Final = 200  # in one session
INBOUND_BAD_COMMANDS: Final = 5  # in one session, then 421
INBOUND_TRANSACTIONS: Final = 50  # in one session
INBOUND_RECIPIENTS: Final = 10  # in one transaction; a bounce has one
INBOUND_HOPS: Final = 100  # Received fields; RFC 5321 section 6.3 says at least 100
INBOUND_ADDRESSES: Final = 40  # of a mail's header that are looked at
INBOUND_AT_ONCE: Final = 4  # mails that are read at the same time
IMAP_MESSAGES: Final = 500  # taken in one round
IMAP_TIMEOUT: Final = 60.0  # of the connection, and of each answer

# --- Contact lists -------------------------------------------------------------------------------
LIST_TOPICS: Final = 62  # bits of a signed 64-bit mask, one left for the sign and one spare
LIST_TEXT: Final = 1000  # characters of a description
CONTACT_ATTRIBUTES_BYTES: Final = 8192  # as JSON; SES takes 1 KB
CONSENT_TEXT: Final = 300  # characters of a source
CONSENT_FORM: Final = 20_000  # characters of the words that people agreed to
CONTACT_BATCH: Final = 2000  # contacts of one request; well below the control socket's longest line
IDENTITY_CODE_SECONDS: Final = 86_400.0  # a confirmation mail's link; as Amazon SES
USER_AGENT: Final = 1000  # characters that are looked at

# --- Links and HTTP -------------------------------------------------------------------------------
TOKEN_BYTES: Final = 2100  # of what a token holds; a URL of 2048 bytes fits
TOKEN_CHARS: Final = 2900  # of its base64url
LINK_BYTES: Final = 2048  # a longer link is not tracked, and leads where it always led
LINKS_TRACKED: Final = 250  # in one message, as Amazon SES
HTTP_HEAD_SECONDS: Final = 10.0  # until a request's head is there, from its first chance to come
HTTP_REQUEST_SECONDS: Final = 30.0  # from a request's head to the last byte of its answer
HTTP_HEAD_BYTES: Final = 16 * 1024
HTTP_FORM_BYTES: Final = 16 * 1024  # of a public form; one-click sends 26
HTTP_JSON_BYTES: Final = 1024 * 1024  # of what the admin API is told, jobs apart
HTTP_EVENT_BYTES: Final = 4 * 1024 * 1024  # of the event log's end that are looked at
HTTP_JOB_BYTES: Final = INLINE_JOB_BYTES  # of a job that comes over HTTP
HTTP_JOB_SECONDS: Final = 300.0  # HTTP_REQUEST_SECONDS for the admin part: a job may be large
HTTP_JOBS_AT_ONCE: Final = 4  # bodies of jobs over HTTP_JSON_BYTES in memory
HTTP_SMALL_JOBS_AT_ONCE: Final = 64  # and of smaller ones
HTTP_CONNECTIONS: Final = 2000  # at once, per listener
HTTP_PER_PEER: Final = 200  # of these, from one peer that is no trusted proxy
HTTP_CLIENTS_REMEMBERED: Final = 20_000  # by a rate limit
USER_AGENT_KEPT: Final = 256  # characters
REACTIONS_WAITING: Final = 20_000  # opens and clicks not yet written; more are only counted
