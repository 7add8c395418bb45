"""The keys of a job, each with its converter, its default and its words: the one place. Pure.

`job.toml`, `NAME.toml` and `NAME.json` use the key; a message file uses the header in its row. The
tables of docs/spool.md are compared with this one by a test.
"""

from dataclasses import dataclass
from typing import Final

from ekiden.spool import values, values_parts


@dataclass(frozen=True, slots=True)
class JobKey:
    """One key.

    Args:
        name: As it is written in TOML and JSON.
        field: The field of `JobSpec`; "" when `formats` places it itself.
        convert: Its converter.
        default: The default, as the documentation writes it.
        doc: What it does.
        header: The option header of a message file, "" when it has none.
    """

    name: str
    field: str
    convert: values.Convert
    default: str
    doc: str
    header: str = ""


_ALL: Final = (
    JobKey("name", "name", values.filled, "NAME", "What people call the job.", "X-Ekiden-Job"),
    JobKey(
        "id",
        "id",
        values.filled,
        "a digest of the content",
        "The job's identity: two jobs with one id are one job, sent once.",
        "X-Ekiden-Id",
    ),
    JobKey("from", "sender", values.mailbox, "(required)", "The From header."),
    JobKey(
        "mail_from",
        "mail_from",
        values.address,
        "the address in `from`",
        "The envelope sender, where bounces go.",
        "X-Ekiden-Mail-From",
    ),
    JobKey("reply_to", "reply_to", values.mailboxes, "none", "One or several Reply-To addresses."),
    JobKey("to_name", "to_name", values.text, "none", "Template of the name in the To header."),
    JobKey(
        "template",
        "template",
        values.template,
        "none",
        "A stored template instead of `html` and `text`: its name for the newest version, or"
        " name@3.",
    ),
    JobKey(
        "subject",
        "subject",
        values.filled,
        "(required); the stored template's",
        "Template of the subject.",
    ),
    JobKey("html", "html", values.body, "none", "Template of the HTML part."),
    JobKey("text", "text", values.body, "made from `html`", "Template of the plain text part."),
    JobKey(
        "preheader",
        "preheader",
        values.text,
        "none",
        "Template of the line that mailbox lists show after the subject.",
    ),
    JobKey("language", "language", values.token, "none", "Content-Language: ja, en-GB."),
    JobKey(
        "recipients",
        "",
        values.recipients,
        "(required)",
        "The recipients: a .csv, .tsv or .jsonl file; in an inline job the list itself.",
    ),
    JobKey(
        "address",
        "address",
        values.filled,
        "`address`, else `email`",
        "The column that holds the address; all others are merge data.",
    ),
    JobKey(
        "delimiter",
        "delimiter",
        values.delimiter,
        "the one that the header line shows",
        'Between CSV columns: ",", ";" or "tab".',
    ),
    JobKey(
        "encoding",
        "encoding",
        values.encoding,
        "utf-8, with or without BOM",
        "Of the recipients file: shift_jis, euc_jp, iso2022_jp, utf-16, ...",
    ),
    JobKey(
        "template_encoding",
        "template_encoding",
        values.encoding,
        "utf-8",
        "Of the template files.",
    ),
    JobKey("charset", "charset", values.charset, "utf-8", "The message's charset, or iso-2022-jp."),
    JobKey(
        "configuration_set",
        "configuration_set",
        values.token,
        "the default set",
        "Named settings of the configuration.",
        "X-Ekiden-Configuration-Set",
    ),
    JobKey(
        "set_column",
        "set_column",
        values.filled,
        "`configuration_set`, if it is there",
        "The column whose values choose a configuration set for their rows; where it is empty, the"
        " job's holds.",
    ),
    JobKey("pool", "pool", values.token, "the set's", "The source pool.", "X-Ekiden-Pool"),
    JobKey(
        "priority",
        "priority",
        values.priority,
        "bulk; transactional for a message file",
        "transactional passes bulk.",
        "X-Ekiden-Priority",
    ),
    JobKey("list", "contact_list", values.token, "none", "The contact list.", "X-Ekiden-List"),
    JobKey(
        "engaged_column",
        "engaged_column",
        values.column,
        "the configuration's; else the list",
        "The merge column with each recipient's last reaction (a date, or the days since): who"
        " reacted lately goes first.",
    ),
    JobKey("topic", "topic", values.token, "none", "The topic within the list.", "X-Ekiden-Topic"),
    JobKey(
        "send_at",
        "send_at",
        values.moment,
        "at once",
        'Not before this time: 2026-12-01T09:00:00+09:00, or "+2h" after it is taken.',
        "X-Ekiden-Send-At",
    ),
    JobKey(
        "deliver_by",
        "deliver_by",
        values.moment,
        "none",
        "What is not delivered by then expires instead of arriving late.",
        "X-Ekiden-Deliver-By",
    ),
    JobKey(
        "on_late",
        "on_late",
        values.on_late,
        "the configuration's",
        "When less than 99 % would be delivered by then: send, warn, or refuse the job.",
        "X-Ekiden-On-Late",
    ),
    JobKey(
        "pace",
        "pace",
        values.pace,
        "none",
        'Send at most N, then wait: "500 per 10m" or {messages = 500, wait = "10m"}.',
        "X-Ekiden-Pace",
    ),
    JobKey(
        "attachments",
        "attachments",
        values_parts.attachments,
        "none",
        'File names, or tables {file, name, type}; inline: {name, type, content = "base64"}.',
    ),
    JobKey(
        "images",
        "images",
        values_parts.images,
        "none",
        "Inline images: {cid = file}, or a list of tables {cid, file, name, type}.",
    ),
    JobKey("headers", "headers", values.headers, "none", "Further headers; values are templates."),
    JobKey(
        "on_missing",
        "on_missing",
        values.on_missing,
        "the configuration's",
        "A row without a field that a template needs: refuse it, or leave it empty, or take the"
        " default.",
    ),
    JobKey(
        "inline_css",
        "inline_css",
        values.switch,
        "the configuration's",
        "Copy the rules of `<style>` into the `style` attributes of the HTML.",
    ),
    JobKey("defaults", "defaults", values.defaults, "none", "Values for missing merge fields."),
    JobKey(
        "blank",
        "blank_is_missing",
        values.blank,
        "missing",
        "An empty cell counts as missing; keep makes it an empty value.",
    ),
    JobKey(
        "tracking",
        "",
        values.tracking,
        "the configuration set's",
        "true, false, or {opens, clicks}.",
        "X-Ekiden-Tracking",
    ),
)

KEYS: Final = {key.name: key for key in _ALL}
HEADERS: Final = {key.header.lower(): key for key in _ALL if key.header}
