"""What senders write: the wordings by which lint knows a notice, an address, a contact. Pure.

Wordings are looked for, not understood: a miss is a false alarm, a hit proves nothing. So what
rests on them is a warning, except where nothing at all was found.
"""

import re
from typing import Final


def names(text: str) -> frozenset[str]:
    """Return the words of a text, which may run over several lines."""
    return frozenset(text.split())


# How people are told that they can leave.
LEAVE_JA: Final = re.compile(
    r"(?:配信|購読|受信|登録|メール|メルマガ|ニュースレター)[^。\n]{0,12}?(?:停止|解除|拒否|中止|不要|取り?消|変更|設定)"
    r"|(?:停止|解除|拒否|退会|解約)[^。\n]{0,8}?(?:手続|はこちら|ページ|方法|フォーム|希望)"
    r"|希望(?:され|し)ない[^。\n]{0,20}(?:方|場合)|(?:今後|以後)[^。\n]{0,20}(?:不要|希望しない)"
    r"|オプトアウト|退会|登録解除|配信停止|購読解除"
)
LEAVE: Final = re.compile(
    r"un-?subscri|opt[- ]?out|opting out|stop (?:receiving|getting|these|sending)"
    r"|(?:no longer|don.t|do not) (?:wish|want) to (?:receive|hear|get)|remove (?:me|yourself|my)"
    r"|(?:manage|update|change|edit|your|e-?mail|mailing|communication|notification|subscription)"
    r"[\w ]{0,24}(?:preferences|subscriptions?|settings)"
    r"|(?:reply|respond)[^.\n]{0,30}(?:stop|remove)"
    r"|désabonn|désinscri|abmeld|abbestell|austrag"
    r"|dar(?:se|te|me)? de baja|cancelar[^.\n]{0,15}suscri|anular[^.\n]{0,15}suscri|desuscri"
    r"|disiscri|annulla[^.\n]{0,12}iscrizion|cancella[^.\n]{0,12}iscrizion|uitschrijv|afmelden"
    r"|descadastr|cancelar[^.\n]{0,12}inscri|remover[^.\n]{0,12}inscri|avregistrer|avprenumer"
    r"|afmeld|frameld|meld (?:deg|dig) av|peru(?:uta)? tilaus|wypis|rezygn|odhlás|odhlas|leiratkoz"
    r"|dezabon|отпис|відпис|退订|退訂|取消订阅|取消訂閱|구독[ ]?(?:취소|해지)|수신[ ]?거부",
    re.IGNORECASE,
)
LEAVE_HREF: Final = re.compile(
    r"unsub|opt-?out|optout|preference|/u/|/p/|list-manage|desinscri|abmeld|kaijo|taikai|teishi"
    r"|cancel|remove|subscription|mailto:(?:unsubscribe|leave|stop)",
    re.IGNORECASE,
)
VIEW: Final = re.compile(
    r"view[^.\n]{0,25}(?:browser|online|web)|web version|ブラウザ(?:ー)?で|うまく表示|正しく表示",
    re.IGNORECASE,
)

# A postal address.
ADDRESS_JA: Final = re.compile(
    r"〒\s?[0-9０-９]{3}\s?[-－ー‐−]?\s?[0-9０-９]{4}"
    r"|(?:東京都|北海道|(?:京都|大阪)府|[^\s、。]{2,3}県)[^\s、。]{1,12}[市区町村郡]"
    r"|(?:住所|所在地|本社)\s*[:：／/]?\s*\S+"
)
_STREET: Final = (
    r"street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|way|court|ct|square|sq|plaza"
    r"|place|pl|parkway|pkwy|terrace|highway|hwy|row|alley|circle|cir|broadway|floor|fl|suite|ste"
    r"|building|bldg|market|mission|quay|wharf|close|crescent|gardens|park|hill"
)
_LAND: Final = r"Germany|France|Italy|Spain|Netherlands|Deutschland|Italia|España"
# Every repetition is bounded: a long text costs its length, not its square.
ADDRESS: Final = re.compile(
    r"(?i:\bP\.?\s?O\.?\s?Box\s\w)"
    rf"|\b\d{{1,6}}[A-Za-z]?,?[ ](?:[A-Z0-9][\w.'’-]{{0,25}}[ ]){{1,5}}?(?i:{_STREET})\b"
    r"|\b[A-Z][\w.'’-]{1,30},?[ ]+[A-Z]{2}\.?,?[ ]+\d{5}(?:-\d{4})?\b"
    r"|\b[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b|\b[A-Z]\d[A-Z] ?\d[A-Z]\d\b"
    r"|(?i:(?:straße|strasse|str\.|weg|platz|allee|gasse|ring|damm|ufer) {0,3}\d)"
    r"|(?i:\b(?:rue|avenue|boulevard|place|quai|via|viale|piazza|calle|avenida|plaza|rua|ulica|ul\.)"
    r" [\w.'’ -]{2,40}\d)|(?i:\b\d{1,4},? (?:bis )?(?:rue|avenue|boulevard|place|quai)\b)"
    rf"|\b\d{{4,5}} (?:[A-Z]{{2}} )?[A-ZÄÖÜÉ][\wäöüßéèà-]{{1,30}} ?(?:,|\.|$|\n|{_LAND})",
    re.MULTILINE,
)

# Who sends.
SENDER_JA: Final = re.compile(
    r"(?:株式|有限|合同|合資|合名|相互)会社|[（(][株有同][)）]|㈱|㈲|(?:一般|公益)(?:社団|財団)法人|(?:学校|医療|宗教|"
    r"社会福祉|独立行政|特定非営利活動)法人|NPO法人|協同組合|商工会|市役所|町役場|委員会|協会"
    r"|(?:発行|配信|送信|運営|編集)(?:元|者|人|会社|責任者)?\s*[:：／/・]\s*\S+"
)
SENDER: Final = re.compile(
    r"\b(?:inc|ltd|llc|llp|plc|corp|corporation|limited|gmbh|ag|s\.?a\.?s?|s\.?r\.?l\.?|b\.?v\.?|oy|"
    r"ab|a/s|kk|k\.k\.|co|company|foundation|society|university|association)\b\.?"
    r"|©|\(c\)\s|copyright|sent by|this (?:e-?mail|message) (?:was sent|is from)"
    r"|all rights reserved"
    r"|you(?:'re|’re| are) receiving this",
    re.IGNORECASE,
)
PRIVACY: Final = re.compile(
    r"privacy|datenschutz|confidentialité|données personnelles|privacidad|riservatezza|privacidade"
    r"|プライバシー|個人情報|impressum|legal notice|mentions légales",
    re.IGNORECASE,
)

# Where people turn to.
CONTACT_JA: Final = re.compile(
    r"問い?合わ?せ|連絡先|苦情|ご意見|ご質問|ご相談|サポート|カスタマー|ヘルプ|窓口|お客様(?:センター|相談)"
    r"|(?:TEL|ＴＥＬ|電話|Tel)\s*[.:：]?\s*[0-9０-９(（]|0\d{1,4}[-(]\d{1,4}[-)]\d{3,4}|0120"
)
PAGE_JA: Final = re.compile(
    r"会社(?:概要|案内|情報)|運営(?:会社|者|元)|特定商取引|特商法|企業情報|サイトポリシー|ご利用ガイド"
)
SHOP_JA: Final = re.compile(
    r"税込|税抜|送料|購入|ご注文|お買い?(?:上|求|い物)|カート|通販|販売価格|在庫|割引|[0-9０-９]\s*[%％]\s*OFF"
    r"|クーポン|セール|[0-9０-９,，]+\s*円|[¥￥]\s*[0-9０-９]"
)
ADDRESS_OF_MAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
URL: Final = re.compile(r"https?://[^\s<>\"'）)」』、。]+", re.IGNORECASE)

# Free mail: their DMARC policies refuse mail in their name from elsewhere.
FREE_MAIL: Final = names(
    """
    gmail.com googlemail.com yahoo.com yahoo.co.jp yahoo.co.uk yahoo.fr yahoo.de yahoo.ne.jp
    ymail.com rocketmail.com outlook.com outlook.jp outlook.fr outlook.de hotmail.com hotmail.co.jp
    hotmail.co.uk hotmail.fr live.com live.jp msn.com icloud.com me.com mac.com aol.com gmx.de
    gmx.net gmx.com web.de t-online.de mail.ru yandex.ru qq.com 163.com 126.com naver.com daum.net
    libero.it laposte.net orange.fr proton.me protonmail.com zoho.com mail.com docomo.ne.jp
    ezweb.ne.jp au.com softbank.ne.jp i.softbank.jp ymobile.ne.jp nifty.com
    """
)
SHORTENERS: Final = names(
    """
    bit.ly bitly.com t.co tinyurl.com goo.gl ow.ly is.gd v.gd buff.ly rebrand.ly cutt.ly rb.gy t.ly
    tiny.cc shorturl.at shorte.st adf.ly bl.ink lnkd.in x.gd onl.tw onl.la onl.sc ux.nu urx.nu
    urx2.nu p.tl qr.ae trib.al dlvr.it su.pr clck.ru u.to s.id tr.im bc.vc cli.gs short.io shor.by
    surl.li goo.su l-l.jp
    """
)
# Where a name is registered below two labels, as far as mail meets it; not the whole public list.
_SECOND_LEVEL: Final = names("ac ad co com ed edu go gob gouv gov gr lg mil ne net nom or org")


def site_of(host: str) -> str:
    """Return the part of a host that somebody registered: the last two labels, or three."""
    labels = host.lower().rstrip(".").split(".")
    short = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL
    return ".".join(labels[-3:] if short else labels[-2:])


def same_site(one: str, other: str) -> bool:
    """Whether two hosts belong to one registered name."""
    return site_of(one) == site_of(other)


def is_japanese(text: str) -> bool:
    """Whether a text is Japanese: it has kana, and not just a few."""
    kana = sum(1 for char in text if "\u3041" <= char <= "\u30ff")
    return kana >= 20 or kana * 10 > len(text) > 0
