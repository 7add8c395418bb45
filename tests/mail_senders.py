"""Senders of newsletters in six languages, and how they write: what `mails.py` makes mails of."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass


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
