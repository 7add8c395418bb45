"""The text encodings that files of a job may be in, by their codec's name."""

from typing import Final

# Encodings that people really have; a codec that is not about text (idna, unicode_escape) is none.
ENCODINGS: Final = {
    "utf-8": "utf-8",
    "ascii": "utf-8",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "shift_jis": "cp932",  # what is called Shift_JIS was written by Windows, nearly always
    "cp932": "cp932",
    "shift_jis_2004": "shift_jis_2004",
    "euc_jp": "euc_jp",
    "iso2022_jp": "iso2022_jp_ext",
    "iso2022_jp_ext": "iso2022_jp_ext",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "big5": "big5",
    "euc_kr": "cp949",
    "cp949": "cp949",
    **{f"iso8859-{n}": f"iso8859-{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)},
    **{f"cp{n}": f"cp{n}" for n in range(1250, 1259)},
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
}
