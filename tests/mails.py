"""Mails for lint: a hundred newsletters as people send them, and a hundred that are broken.

The newsletters are sound: what lint says of them beyond `info` is a false alarm. Half are made by
the product's own compiler, half by Python's `email` package, which knows nothing of it. Each broken
mail is a sound one with one thing wrong, and the code that must be among its findings.
"""

import base64
import itertools
import quopri
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage, Message
from email.mime.multipart import MIMEMultipart
from email.policy import SMTP

from ekiden.message.compile import compile_content
from ekiden.message.content import Attachment, Content
from ekiden.message.rendered import Marks, Recipient

DATE = 1_764_226_800  # Thu, 27 Nov 2025 07:00:00 +0000
LEAVE = "https://news.example.com/u/AbC123"
FIELDS = (
    ("List-Unsubscribe", f"<mailto:leave@news.example.com?subject=x>, <{LEAVE}>"),
    ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
)


@dataclass(frozen=True)
class Words:
    """How one sender writes, in one language."""

    language: str
    sender: str
    subject: str
    lead: str
    stories: tuple[str, ...]
    notice: str  # the link's text
    before: str  # what stands before the link
    footer: str


_JA_STORIES = (
    "駅伝の季節になりました。今年の見どころを、編集部が区間ごとにまとめました。",
    "新商品のご案内です。りんごの収穫が月曜日に始まり、送料無料でお届けします。",
    "読者の皆様からいただいたお便りを紹介します。今月のテーマは「旅」です。",
    "十二月の講座の受付を開始しました。定員になり次第、締め切らせていただきます。",
    "サイトの一部を新しくしました。検索が速くなり、画面の小さい機器でも読みやすくなりました。",
)
_EN_STORIES = (
    "The relay season begins on Sunday, and our editors have walked every section of the course.",
    "We have rewritten the search: results arrive faster, and old articles can be found again.",
    "Last month you asked how we choose our suppliers. Here is the long answer, with pictures.",
    "Registration for the winter workshops is open; places are given in the order of arrival.",
    "A reader from Leeds sent us her grandmother's recipe for apple bread. We tried it.",
)
_JA_FOOTERS = (
    "発行：株式会社駅伝 〒100-0001 東京都千代田区千代田1-1 お問い合わせ：info@example.co.jp",
    "株式会社りんご園\n〒036-8001 青森県弘前市代官町1-2-3\nお問い合わせはこちら https://example.co.jp/contact",
    "配信元 ＮＰＯ法人まちの本棚／大阪府大阪市北区中之島一丁目／電話 06-1234-5678",
    "有限会社山田屋　京都府京都市中京区河原町　カスタマーサポート 0120-000-000",
    "一般社団法人ランナーズ（北海道札幌市中央区）ご意見・ご質問は support@example.co.jp まで",
    "運営会社：合同会社ノース　所在地：福岡県福岡市博多区1-1-1　お客様相談室 092-111-2222",
)
_JA_NOTICES = (
    ("配信停止はこちら", "今後メールの受信を希望されない方は、"),
    ("メールマガジンの解除", "このメールは、会員の方にお送りしています。"),
    ("購読の解除・配信先の変更", "登録した覚えのない方もこちらから："),
    ("こちら", "メール配信の停止をご希望の場合は"),
    ("退会手続き", "お手続きは一分で終わります。"),
    ("受信設定の変更", "配信頻度もここで選べます。"),
)
_EN_FOOTERS = (
    "Example News Ltd, 12 Harbour Street, Leeds LS1 4DY, United Kingdom. Privacy policy",
    "© 2025 Example Inc. · 548 Market St, San Francisco, CA 94104 · Privacy",
    "You get this as a reader. Example LLC, P.O. Box 1234, Springfield, IL 62701. Privacy",
    "Sent by Example Corporation, 1600 Pennsylvania Avenue NW, Washington, DC 20500 | Privacy",
    "Example Foundation, 221B Baker Street, London NW1 6XE. How we use your data: privacy notice",
    "The Example Company, 350 Fifth Avenue, 34th floor, New York, NY 10118. Privacy statement",
)
_EN_NOTICES = (
    ("Unsubscribe", "Had enough?"),
    ("Opt out", "No longer interested?"),
    ("Manage your preferences", "Too many mails?"),
    ("here", "To stop receiving these emails, click"),
    ("Update your email settings", "Once a week is enough?"),
    ("Unsubscribe from this list", "We will be sorry."),
)
_OTHERS = (
    Words("de", "Beispiel GmbH", "Neues im November", "Guten Tag,",
          ("Die Lesung beginnt um acht, der Eintritt ist frei, und es gibt Suppe für alle.",
           "Unsere neue Suche findet jetzt auch Artikel, die älter sind als zehn Jahre.",
           "Im Dezember bleibt das Lager wegen der Inventur an zwei Tagen geschlossen."),
          "Newsletter abbestellen", "Sie möchten nichts mehr von uns lesen?",
          "Beispiel GmbH, Hauptstraße 12, 10115 Berlin. Datenschutz und Impressum"),
    Words("fr", "Exemple SARL", "La lettre de novembre", "Bonjour,",
          ("La saison des pommes commence lundi, et nos producteurs vous attendent au marché.",
           "Nous avons refait la recherche du site : elle est plus rapide et plus simple.",
           "Les inscriptions aux ateliers de décembre sont ouvertes depuis ce matin."),
          "Se désabonner", "Vous ne souhaitez plus recevoir cette lettre ?",
          "Exemple SARL, 12 rue de la Paix, 75002 Paris. Données personnelles et mentions légales"),
    Words("es", "Ejemplo S.A.", "Noticias de noviembre", "Hola:",
          ("La temporada de manzanas empieza el lunes, y los agricultores os esperan.",
           "Hemos rehecho el buscador: ahora es más rápido y encuentra artículos antiguos.",
           "Las inscripciones para los talleres de diciembre están abiertas desde hoy."),
          "Darse de baja", "¿No quiere recibir más mensajes?",
          "Ejemplo S.A., Calle Mayor 12, 28013 Madrid. Política de privacidad"),
    Words("it", "Esempio S.r.l.", "La lettera di novembre", "Buongiorno,",
          ("La stagione delle mele comincia lunedì, e i produttori vi aspettano al mercato.",
           "Abbiamo rifatto la ricerca del sito: ora è più veloce e trova articoli vecchi.",
           "Le iscrizioni ai laboratori di dicembre sono aperte da questa mattina."),
          "Annulla l'iscrizione", "Non vuoi più ricevere questi messaggi?",
          "Esempio S.r.l., Via Roma 12, 20121 Milano. Informativa sulla privacy"),
)  # fmt: skip


def words() -> Iterator[Words]:
    """Senders, one after the other, for ever."""
    for n in itertools.count():
        if n % 10 in {3, 8}:
            yield _OTHERS[n // 5 % len(_OTHERS)]
        elif n % 2:
            link, before = _EN_NOTICES[n // 2 % 6]
            footer = _EN_FOOTERS[n // 3 % 6]
            stories = _EN_STORIES[n % 5 :] + _EN_STORIES[: n % 5]
            yield Words("en", "Example News", f"Issue {n} of the Example", "Dear reader,",
                        stories, link, before, footer)  # fmt: skip
        else:
            link, before = _JA_NOTICES[n // 2 % 6]
            footer = _JA_FOOTERS[n // 3 % 6]
            stories = _JA_STORIES[n % 5 :] + _JA_STORIES[: n % 5]
            yield Words("ja", "駅伝通信", f"駅伝通信 第{n}号のご案内", "読者の皆様",
                        stories, link, before, footer)  # fmt: skip


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


# --- Broken ones --------------------------------------------------------------------------------

GOOD = """\
From: Example News <news@example.com>
To: reader@example.org
Subject: Issue 7 of the Example
Date: Thu, 27 Nov 2025 07:00:00 +0000
Message-ID: <7.abc@example.com>
MIME-Version: 1.0
List-Unsubscribe: <https://news.example.com/u/AbC123>
List-Unsubscribe-Post: List-Unsubscribe=One-Click
Content-Type: multipart/alternative; boundary="b1"

--b1
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 7bit

Dear reader, the relay season begins on Sunday, and our editors have walked the whole course.
Read on: https://www.example.com/relay
Unsubscribe: https://news.example.com/u/AbC123
Example Inc., 548 Market St, San Francisco, CA 94104. Privacy policy.
--b1
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: 7bit

<html><body><p>Dear reader, the relay season begins on Sunday, and our editors have walked the
whole course.</p><p><a href="https://www.example.com/relay">Read on</a></p>
<img src="https://img.example.com/a.png" alt="The course">
<p><a href="https://news.example.com/u/AbC123">Unsubscribe</a></p>
<p>Example Inc., 548 Market St, San Francisco, CA 94104. Privacy policy.</p></body></html>
--b1--
"""
EXE = 'Content-Type: application/x-x\nContent-Disposition: attachment; filename="a.pdf.exe"'
LONG = "word " * 250
FIRST = GOOD[GOOD.index("Dear reader, ") : GOOD.index("Read on: ")].strip()
OTHER = (
    "Huge discount pharmacy without prescription, cheap watches, casino bonus, investors wanted,\n"
    "quick loans approved today, lottery winners announced, miracle weight remedy discovered."
)
JAPANESE = """\
From: =?UTF-8?B?6aeF5LydIA==?= <news@example.co.jp>
To: reader@example.org
Subject: =?UTF-8?B?5Y2B5LiA5pyI5Y+3?=
Date: Thu, 27 Nov 2025 16:00:00 +0900
Message-ID: <7.abc@example.co.jp>
MIME-Version: 1.0
List-Unsubscribe: <https://news.example.co.jp/u/AbC123>
List-Unsubscribe-Post: List-Unsubscribe=One-Click
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

読者の皆様、りんごの季節になりました。一箱三千円（税込）でお届けします。
https://www.example.co.jp/apples
配信停止はこちら https://news.example.co.jp/u/AbC123
株式会社りんご園 〒036-8001 青森県弘前市代官町1-2-3 お問い合わせ 0172-11-2222
"""


@dataclass(frozen=True)
class Broken:
    """A mail with one thing wrong, and the code that says so."""

    code: str
    message: bytes
    name: str


def _swap(code: str, old: str, new: str, name: str = "") -> Broken:
    base = JAPANESE if old in JAPANESE and old not in GOOD else GOOD
    assert old in base, old
    text = base.replace(old, new, 1)
    return Broken(code, text.encode("utf-8", "surrogateescape"), name or f"{code}: {new[:40]!r}")


def _html(code: str, added: str) -> Broken:
    return _swap(code, "<p>Example Inc.", f"{added}<p>Example Inc.", f"{code}: {added[:50]!r}")


def _crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def broken() -> list[Broken]:
    """Mails with one thing wrong each."""
    leave = '<a href="https://news.example.com/u/AbC123">'
    date, subject = "Thu, 27 Nov 2025 07:00:00 +0000", "Issue 7 of the Example"
    silent = _without("nsubscribe:", "/u/AbC123", ">Unsubscribe<")
    sender, identifier = "Example News <news@example.com>", "<7.abc@example.com>"
    seven = "Content-Transfer-Encoding: 7bit"
    return [
        # header
        Broken("no-header", b"\nDear reader\n", "no header"),
        _swap("bad-field", "Subject:", "Subject line without a colon\nSubject:"),
        _swap("bad-field", "Subject:", "Sub ject:"),
        *(
            _swap("duplicate-field", f"{name}:", f"{name}: {value}\n{name}:")
            for name, value in (
                ("From", sender),
                ("To", "a@example.com"),
                ("Subject", "x"),
                ("Date", date),
                ("Message-ID", identifier),
                ("MIME-Version", "1.0"),
            )
        ),
        _swap("from-missing", f"From: {sender}\n", ""),
        *(
            _swap("from-invalid", sender, wrong)
            for wrong in (
                "news",
                "Example News",
                "<news@>",
                "@example.com",
                "a@b@c.example",
                "news@example..com",
            )
        ),
        _swap("sender-needed", sender, "a@example.com, b@example.com"),
        *(
            _swap("address-invalid", "reader@example.org", wrong)
            for wrong in ("reader", "reader@", "a@example.com b@example.com")
        ),
        _swap("date-missing", f"Date: {date}\n", ""),
        *(
            _swap("date-invalid", date, wrong)
            for wrong in (
                "2025-11-27 07:00",
                "Thu, 32 Nov 2025 07:00:00 +0000",
                "Thu, 27 Nov 2025",
                "yesterday",
                "Mon, 27 Nov 2025 07:00:00 +0000",
                "Thu, 27 Nov 2025 25:00:00 +0000",
            )
        ),
        _swap("message-id-missing", f"Message-ID: {identifier}\n", ""),
        *(
            _swap("message-id-invalid", identifier, wrong)
            for wrong in (
                "7.abc@example.com",
                "<7.abc>",
                "<7 abc@example.com>",
                "<a@b@example.com>",
            )
        ),
        _swap("to-missing", "To: reader@example.org\n", ""),
        _swap("subject-missing", f"Subject: {subject}\n", ""),
        _swap("subject-missing", subject, " "),
        _swap("header-control", subject, "Issue\x07 7"),
        _swap("header-8bit", subject, "号外"),
        _swap("header-8bit", subject, "caf\udce9"),
        *(
            _swap("encoded-word", subject, wrong)
            for wrong in (
                "=?utf-8?B?5Y2B5LiA5pyI5Y+3",
                "=?utf-8?X?abc?=",
                "=?nonsense?B?YWJj?=",
                "=?utf-8?B?***?=",
                "=?utf-8?Q?=ZZ?=",
                "=?utf-8?B?5Y2B5Lg=?=",
                "=?utf-8?Q?a b?=",
            )
        ),
        _swap("encoded-word-long", subject, f"=?utf-8?Q?{'a' * 80}?="),
        _swap("subject-long", subject, "word " * 30),
        _swap("subject-reply", subject, "Re: your order"),
        *(
            _swap("excessive", subject, wrong)
            for wrong in (
                "Buy now!!!",
                "YOU HAVE ALREADY WON THE PRIZE",
                "Earn $$$ at home",
                "F R E E today",
                "★☆★☆★ sale",
                "ＳＡＬＥ２０２５年末",
            )
        ),
        # lines
        Broken("bare-cr", _crlf(GOOD).replace(b"Dear", b"De\rar", 1), "bare CR"),
        Broken("bare-lf", _crlf(GOOD).replace(b"Sunday,", b"Sunday,\n", 1), "bare LF"),
        _swap("nul", "Dear reader", "Dear\0reader"),
        _swap("long-line", "Dear reader", LONG),
        _swap("long-line", subject, LONG),
        _swap("undeclared-8bit", "Dear reader", "Chère lectrice"),
        Broken(
            "undeclared-8bit",
            GOOD.replace(f"{seven}\n", "").replace("Dear", "Größe").encode(),
            "8bit unsaid",
        ),
        # MIME
        _swap("mime-version", "MIME-Version: 1.0\n", ""),
        _swap("content-type", "text/plain; charset=utf-8", "text"),
        _swap("content-type", "text/html; charset=utf-8", "text html"),
        _swap("boundary", '; boundary="b1"', ""),
        _swap("boundary", 'boundary="b1"', 'boundary="other"'),
        _swap("boundary", "--b1--\n", ""),
        _swap(
            "multipart-encoded",
            "MIME-Version: 1.0",
            "MIME-Version: 1.0\nContent-Transfer-Encoding: base64",
        ),
        _swap("transfer-encoding", seven, "Content-Transfer-Encoding: utf-8"),
        _swap("bad-base64", seven, "Content-Transfer-Encoding: base64"),
        _swap(
            "bad-quoted-printable",
            f"{seven}\n\nDear",
            "Content-Transfer-Encoding: quoted-printable\n\n=XY Dear",
        ),
        _swap("charset-unknown", "text/plain; charset=utf-8", "text/plain; charset=utf-9"),
        _swap("charset-unknown", "text/html; charset=utf-8", "text/html; charset=unknown-8bit"),
        _swap(
            "charset-wrong",
            f"text/plain; charset=utf-8\n{seven}\n\nDear",
            "text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nCaf\udce9",
        ),
        _swap(
            "charset-wrong",
            f"charset=utf-8\n{seven}\n\nDear",
            "charset=us-ascii\nContent-Transfer-Encoding: quoted-printable\n\nCaf=C3=A9",
        ),
        _swap(
            "charset-missing",
            f"text/plain; charset=utf-8\n{seven}\n\nDear",
            "text/plain\nContent-Transfer-Encoding: 8bit\n\nChère",
        ),
        _swap("attachment-blocked", "--b1--", f"--b1\n{EXE}\n\nx\n--b1--"),
        _swap(
            "attachment-blocked",
            "--b1--",
            '--b1\nContent-Type: application/x-js; name="a.js"\n\nx\n--b1--',
        ),
        # content
        Broken("no-body", GOOD[: GOOD.index("Content-Type: multi")].encode() + b"\n", "no body"),
        Broken("no-text", GOOD.replace("text/plain", "text/x-other").encode(), "no text"),
        _swap("text-differs", FIRST, OTHER),
        Broken("alternative-order", _swapped("text/plain", "text/html"), "order"),
        _html("html-large", "<p>filler</p>\n" * 9000),
        Broken(
            "image-only",
            GOOD[: GOOD.index("<p>Dear")].encode()
            + b'<img src="https://a.example/x.png" alt="x">\n--b1--\n',
            "image only",
        ),
        _html("image-alt", '<img src="https://img.example.com/b.png">'),
        _html("image-insecure", '<img src="http://img.example.com/b.png" alt="">'),
        _html("image-cid", '<img src="cid:nobody" alt="">'),
        *(
            _html("html-unbalanced", wrong)
            for wrong in (
                "<div>",
                "</table>",
                "<b><i>x</b></i>",
                "<table><tr><td>x</td></tr>",
                "<a href='https://www.example.com'>x",
            )
        ),
        *(
            _html("active-content", wrong)
            for wrong in (
                "<script>x()</script>",
                '<form action="https://a.example"><input></form>',
                "<iframe src='https://a.example'></iframe>",
                '<p onclick="x()">x</p>',
                '<a href="javascript:x()">x</a>',
                "<meta http-equiv=refresh content=0>",
                "<object data=x></object>",
            )
        ),
        _html("hidden-text", f'<div style="display:none">{"hidden words " * 40}</div>'),
        _html("hidden-text", f'<div style="font-size:0">{"hidden words " * 40}</div>'),
        _swap("merge-left", "Dear reader,", "Dear {{ first_name }},"),
        _swap("merge-left", subject, "Hello *|FNAME|*"),
        _html("merge-left", '<a href="https://www.example.com/?id=%%ID%%">x</a>'),
        # links
        _html(
            "urls-many",
            "".join(f'<a href="https://www.example.com/{n}">{n}</a> ' for n in range(60)),
        ),
        *(
            _html("link-mismatch", f'<a href="https://evil.example/x">{text}</a>')
            for text in ("https://www.example.com/account", "www.example.com", "mybank.com")
        ),
        *(
            _html("link-shortener", f'<a href="https://{host}/abc">x</a>')
            for host in ("bit.ly", "tinyurl.com", "t.co")
        ),
        *(
            _html("link-ip", f'<a href="https://{host}/">x</a>')
            for host in ("192.0.2.1", "[2001:db8::1]", "3221225985")
        ),
        _html("link-insecure", '<a href="http://www.example.com/">x</a>'),
        *(
            _html("link-invalid", f'<a href="{href}">x</a>')
            for href in (
                "",
                "#",
                "www.example.com/x",
                "https://",
                "https://exa mple.com/",
                "http://localhost/x",
            )
        ),
        _html("link-fragment", '<a href="#nowhere">x</a>'),
        _html("link-user", '<a href="https://www.example.com@evil.example/">x</a>'),
        # sender
        _swap("from-freemail", "news@example.com", "example.news@gmail.com"),
        _swap("from-name", sender, "news@example.com"),
        _swap("from-name-address", sender, '"boss@bank.example" <news@example.com>'),
        _swap("reply-to-domain", "To:", "Reply-To: x@other.example\nTo:"),
        _swap("from-noreply", "news@example.com", "no-reply@example.com"),
        # leaving
        _swap("unsubscribe-header", "List-Unsubscribe: <https://news.example.com/u/AbC123>\n", ""),
        _swap("unsubscribe-one-click", "List-Unsubscribe-Post: List-Unsubscribe=One-Click\n", ""),
        _swap(
            "unsubscribe-one-click",
            "<https://news.example.com/u/AbC123>",
            "<mailto:leave@example.com>",
        ),
        Broken("unsubscribe-body", silent, "no notice"),
        *(
            _swap("unsubscribe-faint", f"<p>{leave}", f"<p {look}>{leave}", look)
            for look in ('style="font-size:8px"', 'style="font-size: .5em"')
        ),
        _swap(
            "unsubscribe-faint",
            ">Unsubscribe<",
            ' style="color:#fff"><span style="font-weight:bold">Unsubscribe</span><',
            "white on white",
        ),
        Broken("us-optout", silent, "no notice (us)"),
        Broken("eu-objection", silent, "no notice (eu)"),
        Broken("us-address", _without("548 Market St, San Francisco, CA 94104"), "no address"),
        Broken("eu-controller", _without("Privacy policy"), "no controller"),
        _swap("jp-sender", "株式会社りんご園 ", ""),
        _swap("jp-optout", "配信停止はこちら https://news.example.co.jp/u/AbC123\n", ""),
        _swap(
            "jp-commerce", "配信停止はこちら https://news.example.co.jp/u/AbC123\n", "", "commerce"
        ),
        _swap("jp-address", "〒036-8001 青森県弘前市代官町1-2-3 ", ""),
        _swap("jp-contact", "お問い合わせ 0172-11-2222", ""),
    ]


def _swapped(one: str, other: str) -> bytes:
    return GOOD.replace(one, "\0").replace(other, one).replace("\0", other).encode()


def _without(*words_: str) -> bytes:
    head, _, body = GOOD.partition("\n\n")
    for word in words_:
        body = body.replace(word, "")
    return f"{head}\n\n{body}".encode()
