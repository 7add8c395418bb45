"""A hundred newsletters as people send them.

They are sound: what lint says of them beyond `info` is a false alarm. Half are made by the
product's own compiler, half by Python's `email` package, which knows nothing of it.
"""

import base64
import quopri
from collections.abc import Callable, Iterator
from email.headerregistry import Address
from email.message import EmailMessage, Message
from email.mime.multipart import MIMEMultipart
from email.policy import SMTP

from ekiden.message.compile import compile_content
from ekiden.message.content import Attachment, Content
from ekiden.message.rendered import Marks, Recipient
from mail_senders import Words, words

DATE = 1_764_226_800  # Thu, 27 Nov 2025 07:00:00 +0000
LEAVE = "https://news.example.com/u/AbC123"
FIELDS = (
    ("List-Unsubscribe", f"<mailto:leave@news.example.com?subject=x>, <{LEAVE}>"),
    ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
)


def plain(one: Words) -> str:
    """The text part."""
    stories = "\n\n".join(
        f"■ {story}\nhttps://www.example.com/s/{n}" for n, story in enumerate(one.stories)
    )
    return f"{one.lead}\n\n{stories}\n\n--\n{one.before}{one.notice}\n{LEAVE}\n\n{one.footer}\n"


def leave(one: Words) -> str:
    return f'{one.before} <a href="{LEAVE}">{one.notice}</a>'


def simple(one: Words) -> str:
    """Paragraphs."""
    stories = "".join(
        f'<p>{story} <a href="https://www.example.com/s/{n}">→</a></p>'
        for n, story in enumerate(one.stories)
    )
    return (
        f"<html><body><p>{one.lead}</p>{stories}<p>{leave(one)}<br>{one.footer}</p></body></html>"
    )


def tables(one: Words) -> str:
    """Tables within tables, as builders write them, with ghost tables for Outlook."""
    rows = "".join(
        f"""<tr><td align="center" class="pad" style="padding:10px">
<!--[if mso]><table role="presentation" width="600"><tr><td><![endif]-->
<h2>{n + 1}</h2><p class="txt">{story}<br/><a href="https://www.example.com/s/{n}" class="btn"
style="color:#ffffff; background:#0057b8">www.example.com</a></p>
<!--[if mso]></td></tr></table><![endif]--></td></tr>"""
        for n, story in enumerate(one.stories)
    )
    return f"""<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:o="urn:schemas-microsoft-com:office:office" lang="{one.language}">
<head><meta http-equiv="Content-Type" content="text/html; charset=utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" /><title>{one.subject}</title>
<!--[if gte mso 9]><xml><o:OfficeDocumentSettings><o:AllowPNG/></o:OfficeDocumentSettings></xml><![endif]-->
<style type="text/css">.txt {{ font-size: 16px }} a.btn:hover {{ color: #000 }}
@media only screen and (max-width: 600px) {{ .pad {{ padding: 4px !important }} .only {{ display: block !important }} }}</style>
</head><body style="margin:0"><div style="display:none;max-height:0;overflow:hidden">{one.stories[0]}
&zwnj;&nbsp;&zwnj;&nbsp;&zwnj;&nbsp;</div>
<!--[if !mso]><!--><div class="only" style="display:none">{" ".join(one.stories * 3)}</div><!--<![endif]-->
<center><table role="presentation" width="100%" cellpadding="0"><tbody>
<tr><td><img src="https://img.example.com/logo.png" width="120" alt="{one.sender}" /></td></tr>
{rows}<tr><td><p>{leave(one)}</p><p style="font-size:12px">{one.footer}</p>
<img src="https://news.example.com/o/x.gif" width="1" height="1"></td></tr></tbody></table></center></body></html>"""  # noqa: E501 - as builders write it


def shop(one: Words) -> str:
    """Products in a grid, each with its picture."""
    cells = "".join(
        f'<td><a href="https://www.example.com/p/{n}?utm_source=mail&amp;utm_campaign=x">'
        f'<img src="https://img.example.com/{n}.jpg" width=180 alt="{n}"></a><br>'
        f'<b>¥{n + 1},980</b></td>'
        for n in range(12)
    )  # fmt: skip
    stories = "<br><br>".join(one.stories)
    social = "".join(
        f'<a href="https://{host}/x"><img src="https://i.example.com/{host}.png" alt="{host}"></a>'
        for host in ("twitter.com", "www.instagram.com", "www.youtube.com")
    )
    return (
        f"<html><head><style>td {{ vertical-align: top }}</style></head><body><h1>{one.lead}</h1>"
        f"<p>{stories}</p><table><tr>{cells}</tr></table><ul><li>{one.stories[0]}<li>{one.stories[1]}"
        f"</ul><p>{social}</p><hr><small>{leave(one)} {one.footer}</small></body></html>"
    )


SHAPES: tuple[Callable[[Words], str], ...] = (simple, tables, shop)


def ours(one: Words, shape: Callable[[Words], str] | None, n: int) -> bytes:
    """A newsletter of the product's own compiler."""
    jis = one.language == "ja" and n % 4 == 0
    attached = (
        (Attachment("予定表.pdf", "application/pdf", b"%PDF-1.4 " * 40),) if n % 5 == 0 else ()
    )
    content = Content(
        from_=f"{one.sender} <news@example.com>",
        subject=one.subject,
        html="{% raw %}" + shape(one) + "{% endraw %}" if shape else "",
        text=plain(one) if shape is None or n % 3 == 0 else "",
        charset="iso-2022-jp" if jis else "utf-8",
        attachments=attached,
        to_name="山田 太郎" if n % 2 else "",
    )
    marks = Marks(f"<{n}.abc@example.com>", DATE, FIELDS)
    return compile_content(content).render(Recipient("reader@example.org"), marks).message()


def foreign(one: Words, shape: Callable[[Words], str] | None, n: int) -> bytes:
    """A newsletter of Python's email package: its old classes and its new ones in turn."""
    message: Message
    if n % 2:
        new = EmailMessage(policy=SMTP)
        new.set_content(plain(one), cte="base64" if n % 3 else "quoted-printable")
        if shape is not None:
            new.add_alternative(shape(one), subtype="html", cte="quoted-printable")
        new["From"] = Address(one.sender, "news", "example.com")
        new["Subject"] = one.subject
        message = new
    else:
        charset = "shift_jis" if one.language == "ja" and n % 4 == 2 else "utf-8"
        text = _text(plain(one).replace("■", "●"), "plain", charset)
        message = text
        if shape is not None:
            message = MIMEMultipart("alternative")
            message.attach(text)
            message.attach(_text(shape(one), "html", "utf-8"))
        message["From"] = f"{_word(one.sender)} <news@example.com>"
        message["Subject"] = _word(one.subject)
    message["To"] = "reader@example.org"
    message["Date"] = (
        "Thu, 27 Nov 2025 16:00:00 +0900" if n % 3 else "Thu, 27 Nov 2025 07:00:00 GMT"
    )
    message["Message-ID"] = f"<{n}.foreign@mail.example.com>"
    if n % 2:
        for name, value in FIELDS:
            message[name] = value
        return message.as_bytes(policy=SMTP)
    lines = "".join(f"{name}: {value}\n" for name, value in FIELDS)
    return (lines + message.as_string()).encode()


def _text(text: str, kind: str, charset: str) -> Message:
    made = Message()
    made["MIME-Version"] = "1.0"
    made["Content-Type"] = f'text/{kind}; charset="{charset}"'
    made["Content-Transfer-Encoding"] = "quoted-printable"
    made.set_payload(quopri.encodestring(text.encode(charset)).decode("ascii"))
    return made


def _word(text: str) -> str:
    if text.isascii():
        return text
    return f"=?UTF-8?B?{base64.b64encode(text.encode()).decode()}?="


def newsletters(count: int = 100) -> Iterator[tuple[str, bytes]]:
    """Sound newsletters, by name."""
    for n, one in zip(range(count), words(), strict=False):
        shape = None if n % 9 == 8 else SHAPES[n % 3]
        maker = ours if n % 2 == (n // 2) % 2 else foreign
        name = f"{n:03d}-{one.language}-{shape.__name__ if shape else 'text'}-{maker.__name__}"
        yield name, maker(one, shape, n)
