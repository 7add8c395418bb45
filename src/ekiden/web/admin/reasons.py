"""What the daemon says of itself, in Japanese: why mail waits, what an alert tells. Pure.

The daemon writes its reasons in English, from a fixed vocabulary with names and figures in it. The
table below has a pattern for each of those sentences and its Japanese. What others wrote (a reply,
a person's reason) stays as it is within them, and so does a sentence that the table does not know:
it is marked as English (WCAG 3.1.2), to be read aloud as what it is.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

from markupsafe import Markup

_Rule = tuple[re.Pattern[str], str]


def _table(*rows: tuple[str, str]) -> tuple[_Rule, ...]:
    return tuple((re.compile(pattern, re.DOTALL), said) for pattern, said in rows)


# `{0}` is the first group as it is, `{0:where}` a scope, `{0:said}` a sentence of this table,
# `{0:span}` a length of time.
_SENTENCES: Final = _table(
    (r"(.+), (\d+ (?:s|min|h|d)) more", "{0:said}（あと{1:span}）"),
    # --- why a destination waits: control.waiting -------------------------------------
    (r"suspended: (.+)", "送信停止中: {0}"),
    (r"suspended", "送信停止中"),
    (r"job (\d+|.+) is paused", "ジョブ {0} が一時停止中"),
    (r"its job begins later \(send_at\)", "ジョブの開始時刻（send_at）前"),
    (
        r"held: it may have arrived; release or drop it",
        "保留: 届いている可能性があります。再送か破棄を選んでください",
    ),
    (r"tried, and its next try is later", "再送の時刻待ち"),
    (r"no daemon runs", "デーモンが動いていません"),
    (r"put aside while its receiver takes no more", "受信側が受け付けないため後回し"),
    (r"its turn comes after others", "ほかの宛先の後に送信"),
    # --- engine.schedule.explain and gates --------------------------------------------
    (r"its MX hosts are being looked up", "MXホストを調べています"),
    (r"it is being served", "送信中"),
    (r"(messages|connections) of (.+) are limited to (.+)", "{1:where}の{0:what}の上限は{2}"),
    (r"(\d+) of (\d+) sessions of (.+)", "{2:where}の接続{1}本のうち{0}本を使用中"),
    (r"no free slot: (.+)", "空きがありません: {0:said}"),
    (r"no source serves the pool '?(.*?)'?", "プール「{0}」に送信元がありません"),
    (r"(\d+) sessions, one probe at a time on (.+)", "{1:where}は試しの接続を1本ずつ（{0}本）"),
    (r"(\d+) sessions, a window of (\d+) on (.+)", "{2:where}の接続は同時に{1}本まで（{0}本）"),
    (r"its next deliveries are being read from the queue", "キューから読み込み中"),
    (
        r"its turn comes after others of (.+) \((\d+) sessions\)",
        "{0:where}のほかの宛先の後に送信（接続{1}本）",
    ),
    (r"its turn comes next at (.+)", "次に送信"),
    (r"job (.+) is (receiving|done|cancelled)", "ジョブ {0} は{1:what}"),
    (r"job (.+) has expired", "ジョブ {0} は期限切れ"),
    (r"job (.+) begins later \(send_at\)", "ジョブ {0} の開始時刻（send_at）前"),
    (
        r"pace of job (.+) \((\d+), then wait ([\d.]+) s\)",
        "ジョブ {0} の配信間隔（{1}通ごとに{2}秒）",
    ),
    (r"pace of job (.+) \((.+)\)", "ジョブ {0} の配信間隔（{1}）"),
    (
        r"bulk to (.+) begins a little after the hour",
        "{0:where}宛ての一斉配信は毎時0分を避けて開始",
    ),
    (r"(bulk|transactional) mail avoids (.+) at (\S+)", "{2}宛ての{0:what}は{1}を避ける"),
    (r"(bulk|transactional) mail avoids (.+)", "{0:what}は{1}を避ける"),
    (
        r"(\d+%) are deferred at (.+) at this hour; a better one comes in time",
        "{1}ではこの時間帯に{0}が再送待ちとなるため、よりよい時間帯を待っています",
    ),
    (r"reaction (\d+) \((.+?)\): (.*)", "応答による制限 {0}（{1}）: {2}"),
    (
        r"([\d,]+) today, spread over its hours \(warm-up, stage (\d+) of (\d+)(?:, held)?\)",
        "今日は{0}通まで、時間をならして送信（ウォームアップ {1}/{2}段階）",
    ),
    # --- shaping.reputation -----------------------------------------------------------
    (r"(stopped|warning): (.+)", "{0:what}: {1:said}"),
    (r"(\d+) of the first (\d+) deliveries bounced", "最初の{1}通のうち{0}通が不達"),
    (r"([\d.]+%) (bounces|complaints) over (\d+) deliveries", "{2}通で{1:what}{0}"),
    (
        r"([\d.]+%) bounces and ([\d.]+%) complaints over (\d+) deliveries",
        "{2}通で不達率{0}、苦情率{1}",
    ),
    # --- shaping.reactions and duties.reactor -----------------------------------------
    (
        r"(begins|ends|is cancelled|cancelled): (.+?), (.+?); (.*)",
        "{0:what}: {1:where}、{2:said}。{3}",
    ),
    (r"(.+) for (\d+) s", "{0:said}（{1}秒間）"),
    (
        r"slowed to (.+) of what was taken, (.+) per minute",
        "受け付けられた速度の{0}（毎分{1}通）に減速",
    ),
    (r"slowed to (.+)", "{0}に減速"),
    (r"stopped", "停止"),
    (r"at most (.+) sessions", "接続は{0}本まで"),
    # --- duties.warming and duties.volumes --------------------------------------------
    (
        r"warm-up at (\S+) (\S+): (.+); now (.+)",
        "{0}へのウォームアップ {1}: {2:said}。今後{3:said}",
    ),
    (r"([\d,]+) a day", "1日{0}通"),
    (r"no cap any more", "上限なし"),
    (r"held by hand", "手動で固定"),
    (r"warm by hand", "手動で完了"),
    (r"set to day (\d+) of the plan by hand", "手動で計画の{0}日目に設定"),
    (r"the last day of the plan \((.+)\) is passed", "計画の最終日（{0}通）を終了"),
    (r"no mail for (\d+) days: the provider has forgotten it", "{0}日間送信がなく、やり直し"),
    (
        (
            r"(?:volume: )?(\S+) messages from (.+) in one job are (\S+) times its mean of "
            r"(\S+) a day over (\d+) days: .+; spread over (\d+) days it is no jump"
        ),
        (
            "1つのジョブで{1}から{0}通は、{4}日間の1日平均{3}通の{2}倍です。乗っ取られた送信元に見えるため、"
            "受信側が保留や選別をします。{5}日に分ければ急増になりません"
        ),
    ),
    # --- forecast.words and forecast.foresight ----------------------------------------
    (r"job (.+) will be late: (.+)", "ジョブ {0} は期限に間に合いません: {1:said}"),
    (r"started now", "今開始"),
    (r"started at ([^,]+)", "{0}に開始"),
    (
        r"(started [^,]+), it will not be done within two months",
        "{0:said}しても、2か月以内には完了しません",
    ),
    (
        r"(started [^,]+), half of it is there by (.+) and all of it by (.+)",
        "{0:said}すると、半分が{1}までに、すべてが{2}までに届きます",
    ),
    (
        r"(started [^,]+), (\S+ %) of it is there by ([^;(]+) \((\S+ %) of set ([^)]+)\); (.+)",
        "{0:said}すると、{2}までに{1}（設定セット{4}は{3}）が届きます。{5:said}",
    ),
    (
        r"(started [^,]+), (\S+ %) of it is there by ([^;(]+); (.+)",
        "{0:said}すると、{2}までに{1}が届きます。{3:said}",
    ),
    (
        r"(started [^,]+), (\S+ %) of it is there by ([^;(]+)",
        "{0:said}すると、{2}までに{1}が届きます",
    ),
    (
        r"(started [^,]+), (\S+ %) of it is there by ([^;(]+) \((\S+ %) of set ([^)]+)\)",
        "{0:said}すると、{2}までに{1}（設定セット{4}は{3}）が届きます",
    ),
    (
        r"no start of the last week would reach (\S+ %)",
        "この1週間のいつ開始しても{0}には届きません",
    ),
    (
        r"it had to start by (.+) to reach (\S+ %)",
        "{1}を届けるには{0}までに開始する必要がありました",
    ),
    (r"start by (.+) to reach (\S+ %)", "{1}を届けるには{0}までに開始してください"),
    (r"(\d+) sessions are open(?:, which is the most)?", "接続{0}本を使用中（上限）"),
)
_WHERE: Final = _table(
    (r"source (.+) to providers not known", "送信元{0}から不明な事業者"),
    (r"source (.+) to provider (.+)", "送信元{0}から事業者{1}"),
    (r"path (.+) to (.+)", "経路{0}→{1}"),
    (r"road (.+) to (.+)", "送信元{0}から事業者{1}"),
    (r"(.+) to provider (.+)", "送信元{0}から事業者{1}"),
    (r"(.+) to (.+)", "{0}から{1}"),
    (r"site (.+)", "サイト{0}"),
    (r"provider (.+)", "事業者{0}"),
    (r"destination (.+)", "宛先{0}"),
    (r"source (.+)", "送信元{0}"),
    (r"job (.+)", "ジョブ{0}"),
    (r"engine", "全体"),
)
_WHAT: Final = {
    "messages": "通数",
    "connections": "接続",
    "bulk": "一斉配信",
    "transactional": "取引メール",
    "receiving": "受付中",
    "done": "完了済み",
    "cancelled": "取り消し済み",
    "bounces": "不達率",
    "complaints": "苦情率",
    "stopped": "停止",
    "warning": "注意",
    "begins": "開始",
    "ends": "終了",
    "is cancelled": "取り消し",
}
_UNITS: Final = {"s": "秒", "min": "分", "h": "時間", "d": "日"}
_PLACE: Final = re.compile(r"\{(\d+)(?::(\w+))?\}")


def in_japanese(text: str) -> str | None:
    """Return what the daemon said in Japanese; None when it is none of its sentences."""
    return _said(text, _SENTENCES)


def told(text: str, language: str) -> Markup | str:
    """Return what the daemon said for a page in a language; marked where it stays English."""
    if language == "en" or not text:
        return text
    found = in_japanese(text)
    return found if found is not None else Markup('<span lang="en">{}</span>').format(text)


def where(text: str, language: str) -> str:
    """Return the name of a scope for a page in a language."""
    return text if language == "en" else _where(text)


def _said(text: str, table: Sequence[_Rule]) -> str | None:
    for pattern, said in table:
        if (match := pattern.fullmatch(text)) is not None:
            return _filled(said, match)
    return None


def _filled(said: str, match: re.Match[str]) -> str:
    def value(place: re.Match[str]) -> str:
        given = match[int(place[1]) + 1] or ""
        return _AS[place[2]](given) if place[2] else given

    return _PLACE.sub(value, said)


def _where(text: str) -> str:
    return _said(text, _WHERE) or text


def _span(text: str) -> str:
    number, _, unit = text.partition(" ")
    return f"{number}{_UNITS[unit]}"


_AS: Final[dict[str, Callable[[str], str]]] = {
    "said": lambda text: in_japanese(text) or text,
    "where": _where,
    "what": lambda text: _WHAT.get(text, text),
    "span": _span,
}
