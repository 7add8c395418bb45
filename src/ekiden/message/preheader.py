"""The preheader: hidden text at the top of the HTML that mailbox lists show after the subject.

Pure. It goes in as template source, before compiling, so it may hold merge fields.
"""

import re
from typing import Final

from ekiden.message.content import Content

_BODY: Final = re.compile(r"<body\b[^<>]*>", re.IGNORECASE)
_HEAD_END: Final = re.compile(r"</head\s*>", re.IGNORECASE)
_STYLE: Final = (
    "display:none;font-size:1px;line-height:1px;max-height:0;max-width:0;opacity:0;"
    "overflow:hidden;mso-hide:all"
)


def with_preheader(content: Content) -> str:
    """Return the HTML template with the preheader after `<body>`, or where the body begins."""
    if not content.html or not content.preheader:
        return content.html
    hidden = f'<div style="{_STYLE}">{content.preheader}</div>\n'
    found = _BODY.search(content.html) or _HEAD_END.search(content.html)
    at = found.end() if found else 0
    return content.html[:at] + hidden + content.html[at:]
