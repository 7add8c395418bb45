"""What the public pages say, in each language; a test holds that none lacks a phrase."""

from collections.abc import Mapping, Sequence
from typing import Final

Words = Mapping[str, str]

ENGLISH: Final[Words] = {
    "language": "en",
    "name": "English",
    "preferences": "Your e-mail preferences",
    "for": "These settings are for {address}.",
    "topics": "What you receive",
    "save": "Save",
    "saved": "Your choice is saved.",
    "leave_heading": "Unsubscribe",
    "leave_question": "Do you no longer wish to receive e-mail from {brand}?",
    "leave_all": "Unsubscribe from all",
    "leave_topic": "Unsubscribe from “{topic}”",
    "left": "You are unsubscribed.",
    "left_detail": "You will receive no more of this e-mail. What is on its way to you at this "
    "moment may still arrive.",
    "left_already": "You are unsubscribed from all of it.",
    "back_hint": "To receive e-mail again, tick what you wish to receive and save.",
    "erased": "Your data was deleted and you are not mailed. To receive e-mail again, "
    "sign up anew.",
    "invalid": "This link does not work",
    "invalid_detail": "It may have been cut off when it was copied. Please use the link in the "
    "e-mail itself, or reply to that e-mail.",
    "expired": "This link has expired",
    "expired_detail": "Please fill in the form once more.",
    "gone": "This message is no longer kept.",
    "slow": "Too many requests",
    "slow_detail": "Please try again in a minute.",
    "signup": "Sign up",
    "address": "Your e-mail address",
    "signup_topics": "What you wish to receive",
    "signup_button": "Sign up",
    "signup_notice": "We send you an e-mail with a link. Only when you follow it will you receive "
    "e-mail from {brand}; you can unsubscribe at any time.",
    "signup_sent": "Please look into your mailbox",
    "signup_sent_detail": "If the address is right, an e-mail with a link is on its way. Please "
    "follow that link to confirm. It works for {hours} hours.",
    "signup_wrong": "This is not an e-mail address.",
    "confirm": "Please confirm",
    "confirm_detail": "Do you wish to receive e-mail from {brand} at {address}?",
    "confirm_button": "Yes, I do",
    "confirmed": "Thank you: your address is confirmed.",
    "identity": "Is this sender yours?",
    "identity_detail": "Somebody, probably you, wants to send e-mail as {address} from this "
    "system.",
    "identity_button": "Yes, it is mine",
    "identity_confirmed": "The sender is confirmed.",
    "identity_confirmed_detail": "E-mail may now be sent as {address}. You may close this page.",
    "mail_subject": "Please confirm your e-mail address",
    "mail_text": "Somebody, we hope you, asked that {address} receive e-mail from {brand}.\n\n"
    "If it was you, please confirm:\n\n{link}\n\n"
    "If it was not, do nothing: you will hear no more of it.\n",
}

JAPANESE: Final[Words] = {
    "language": "ja",
    "name": "日本語",
    "preferences": "メール配信の設定",
    "for": "{address} 宛ての設定です。",
    "topics": "受け取るメール",
    "save": "保存する",
    "saved": "設定を保存しました。",
    "leave_heading": "配信停止",
    "leave_question": "{brand}からのメールの受信を停止しますか。",
    "leave_all": "すべてのメールを停止する",
    "leave_topic": "「{topic}」を停止する",
    "left": "配信を停止しました。",
    "left_detail": "今後このメールはお送りしません。すでに送信中のメールが届く場合があります。",
    "left_already": "すべてのメールの配信を停止しています。",
    "back_hint": "再び受け取るには、受け取りたいものを選んで保存してください。",
    "erased": "お客様の情報は削除済みで、メールはお送りしていません。再び受け取るには、改めてご登録"
    "ください。",
    "invalid": "このリンクは無効です",
    "invalid_detail": "コピーの際に途中で切れた可能性があります。メールの中のリンクを直接開くか、"
    "そのメールにご返信ください。",
    "expired": "このリンクの有効期限が切れています",
    "expired_detail": "お手数ですが、もう一度ご登録ください。",
    "gone": "このメールの保存期間は終了しました。",
    "slow": "アクセスが集中しています",
    "slow_detail": "1分ほど待ってからもう一度お試しください。",
    "signup": "メール配信の登録",
    "address": "メールアドレス",
    "signup_topics": "受け取りたいメール",
    "signup_button": "登録する",
    "signup_notice": "確認のリンクを記載したメールをお送りします。リンクを開いて確認するまで、"
    "{brand}からのメールは届きません。配信はいつでも停止できます。",
    "signup_sent": "メールをご確認ください",
    "signup_sent_detail": "アドレスが正しければ、確認のリンクを記載したメールが届きます。"
    "リンクを開いて登録を完了してください。リンクの有効期限は{hours}時間です。",
    "signup_wrong": "メールアドレスの形式が正しくありません。",
    "confirm": "登録の確認",
    "confirm_detail": "{address} で{brand}からのメールを受け取りますか。",
    "confirm_button": "受け取る",
    "confirmed": "登録が完了しました。ありがとうございます。",
    "identity": "差出人の確認",
    "identity_detail": "このシステムから {address} を差出人としてメールを送る設定の確認です。",
    "identity_button": "自分のアドレスです",
    "identity_confirmed": "差出人を確認しました。",
    "identity_confirmed_detail": "{address} を差出人として送信できます。この画面を閉じてください。",
    "mail_subject": "メールアドレスの確認をお願いします",
    "mail_text": "{address} で{brand}からのメールを受け取る登録の申し込みがありました。\n\n"
    "お心当たりがある場合は、次のリンクを開いて登録を完了してください。\n\n{link}\n\n"
    "お心当たりがない場合は、このメールを破棄してください。今後メールは届きません。\n",
}

LANGUAGES: Final[Mapping[str, Words]] = {"en": ENGLISH, "ja": JAPANESE}


def choose(*wishes: str) -> Words:
    """Return the words for the first wish that names a language there is; English otherwise.

    Args:
        wishes: Language tags or Accept-Language headers, the most important first.
    """
    for wish in wishes:
        for tag in _preferred(wish):
            found = LANGUAGES.get(tag.partition("-")[0].lower())
            if found is not None:
                return found
    return ENGLISH


def _preferred(header: str) -> Sequence[str]:
    """Return the tags of an Accept-Language header (RFC 9110 section 12.5.4), best first."""
    found: list[tuple[float, int, str]] = []
    for place, part in enumerate(header[:500].split(",")):
        tag, _, rest = part.strip().partition(";")
        quality = rest.strip().removeprefix("q=") if rest else "1"
        try:
            weight = float(quality)
        except ValueError:
            weight = 0.0
        if tag and 0 < weight <= 1:
            found.append((-weight, place, tag.strip()))
    return [tag for _, _, tag in sorted(found)]
