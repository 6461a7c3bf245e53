"""The shape of each kind of personal data or secret, and the check that tells it from a number that only looks like it."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["SHAPES", "Form", "Kind", "Shape"]

Kind = Literal["email", "phone", "id_card", "uscc", "bank_card", "ip", "url_token", "key"]


@dataclass(frozen=True, slots=True)
class Form:
    """A pattern on folded text; the secret is its group `secret`, or all of it, where the check holds."""

    pattern: re.Pattern[str]
    holds: Callable[[re.Match[str]], bool] = lambda _match: True


@dataclass(frozen=True, slots=True)
class Shape:
    """How a kind is found: a cheap sign without which no form can match (a Polars pattern), then the forms."""

    placeholder: str
    sign: str
    forms: tuple[Form, ...]
    number: bool = True
    """whether full-width signs between its digits count too"""


def _after(words: str) -> Callable[[re.Match[str]], bool]:
    """Whether one of the words stands at most 20 characters before, with no other number or placeholder between."""
    pattern = re.compile(rf"(?:{words})[^0-9\[\]\n]{{0,20}}$", re.IGNORECASE)
    return lambda match: pattern.search(match.string[max(0, match.start() - 40) : match.start()]) is not None


def _digits(text: str) -> str:
    return re.sub("[^0-9A-Z]", "", text)


# --- e-mail: the local part of RFC 5322 without quotes, at most 64 characters; names that no mail reaches are left alone

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9_%+-])(?<![A-Za-z0-9_%+-]\.)(?P<local>[A-Za-z0-9_%+-]++(?:\.[A-Za-z0-9_%+-]++)*+)@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?[.．]){1,8}(?P<top>[A-Za-z]{2,24})"
)
_NO_DOMAIN = frozenset("dom invalid localhost localdomain png jpg jpeg gif svg webp service socket timer target mount".split())


def _reaches_someone(match: re.Match[str]) -> bool:
    return len(match["local"]) <= 64 and match["top"].lower() not in _NO_DOMAIN


# --- PRC numbers: the first two digits are a province (GB/T 2260)

_PROVINCE = r"(?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[123])"
_DAYS = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ID_CARD = re.compile(rf"(?<![0-9])(?<![0-9]\.){_PROVINCE}[0-9]{{4}}[ -]?[12][0-9]{{7}}[ -]?[0-9]{{3}}(?:[0-9](?![0-9])|[Xx])")
_OLD_ID_CARD = re.compile(
    rf"(?<![0-9A-Za-z_/=])(?<![0-9][.-]){_PROVINCE}(?:[0-6][0-9]|90)[0-9]{{2}}[0-9]{{6}}[0-9]{{3}}(?![.-]?[0-9])(?![A-Za-z_])"
)
_names_id = _after(r"身份证|身份證|证件|證件|身份号|公民身份|(?<![a-z])ids?(?![a-z])|identity|identification")
_USCC_CODE = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC = re.compile(rf"(?<![0-9A-Za-z])[1-9A-HJ-NP-RTUWXY][1-59A-G]{_PROVINCE}[0-9]{{4}}[0-9A-HJ-NP-RTUWXY]{{10}}(?![0-9A-Za-z])")
_names_uscc = _after(r"信用代码|信用代碼|信用证代码|税号|稅號|识别号|識別號|uscc|tax(?:payer)? (?:id|number)|credit code")


def _is_date(year: int, month: int, day: int) -> bool:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 1900 <= year < 2040 and 1 <= month <= 12 and 1 <= day <= _DAYS[month] and (leap or (month, day) != (2, 29))


def _is_id_card(match: re.Match[str]) -> bool:
    """Valid birth date, and the check character of GB 11643 (ISO 7064 mod 11-2) or a word such as 身份证 before it."""
    code = _digits(match[0].upper())
    if not _is_date(int(code[6:10]), int(code[10:12]), int(code[12:14])):
        return False
    total = sum(int(digit) * (1 << (17 - place)) for place, digit in enumerate(code[:17]))
    return "10X98765432"[total % 11] == code[17] or _names_id(match)


def _is_old_id_card(match: re.Match[str]) -> bool:
    code = match[0]
    return _is_date(1900 + int(code[6:8]), int(code[8:10]), int(code[10:12])) and not _names_device(match)


_names_device = _after(r"imei|meid|串号|订单号|单号|流水号")


def _is_uscc(match: re.Match[str]) -> bool:
    """The check character of GB 32100 (mod 31, weights 3^i), or a word such as 信用代码 before it."""
    values = [_USCC_CODE.index(character) for character in match[0]]
    total = sum(value * pow(3, place, 31) for place, value in enumerate(values[:17]))
    return (31 - total % 31) % 31 == values[17] or _names_uscc(match)


# --- bank cards: ISO/IEC 7812

_BANK_CARD = re.compile(
    r"(?<![0-9])(?<![0-9]\.)(?:[1-9][0-9]{12,18}"
    r"|[2-9][0-9]{3}(?P<a>[ -])[0-9]{4}(?P=a)[0-9]{4}(?P=a)[0-9]{1,4}(?:(?P=a)[0-9]{1,3})?"
    r"|3[0-9]{3}(?P<b>[ -])[0-9]{6}(?P=b)[0-9]{4,5}|[2-9][0-9]{5}[ -][0-9]{7,13})(?!\.?[0-9])"
)
# issuers and their lengths: Visa, Mastercard, Amex, Diners, JCB, Discover, UnionPay, Maestro, old Chinese debit cards
_ISSUER = re.compile(
    r"4(?:.{15}|.{18})|(?:5[1-5]..|222[1-9]|22[3-9].|2[3-6]..|27[01].|2720).{12}|3[47].{13}|3(?:0[0-5]|[689].).{11}"
    r"|35(?:2[89]|[3-8].).{12,15}|6(?:011|4[4-9].|5..).{12,15}|(?:62|81).{11,17}|(?:5[0678]|6[0-9]).{14,17}|9558.{15}"
)
_names_card = _after(r"卡号|卡號|银行卡|銀行卡|信用卡|借记卡|储蓄卡|账号|帐号|帳號|账户|帐户|帳戶|cards?|card number|account|acct")


def _in_a_row_of_numbers(match: re.Match[str]) -> bool:
    around = match.string[max(0, match.start() - 2) : match.start()], match.string[match.end() : match.end() + 2]
    return re.search("[0-9][ -]$", around[0]) is not None or re.match("[ -][0-9]", around[1]) is not None


def _is_bank_card(match: re.Match[str]) -> bool:
    """A known issuer's prefix and length with the Luhn check digit, or a word such as 卡号 before it."""
    number = _digits(match[0])
    if not 13 <= len(number) <= 19:
        return False
    if _names_card(match):
        return True
    before = match.string[match.start() - 1 : match.start()]
    if before.isascii() and (before.isalpha() or before in {"_", "/", "=", "#", "-", "."}):
        return False  # a part of an address or of an identifier
    if len(number) < len(match[0]) and _in_a_row_of_numbers(match):
        return False
    total = sum(sum(divmod(int(digit) * (1 + place % 2), 10)) for place, digit in enumerate(reversed(number)))
    return total % 10 == 0 and _ISSUER.fullmatch(number) is not None


# --- IP addresses

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"(?<![0-9A-Za-z_.])(?<![A-Za-z][-+~])(?<![0-9]-){_OCTET}(?:\.{_OCTET}){{3}}(?!\.?[0-9])(?![A-Za-z_])")
_names_ip = _after(r"(?<![a-z])ip(?:v4)?(?![a-z])|host|server|address|地址|主机|服务器|ping|ssh")
_names_version = re.compile(r"(?i:(?<![a-z])v(?:er)?\.?|version|release|版本?|kernel|firmware|section|chapter|[第章节]) *[:：]? ?$")
# addresses that manuals use as examples and netmasks: they name nobody (datatrove, too, takes only public addresses)
_EXAMPLE_IP = re.compile(r"(?:0\.|127\.0\.|10\.0\.|192\.168\.|172\.16\.|255\.).*")
_IPV6 = re.compile(
    r"(?<![0-9A-Za-z:.])(?:[23][0-9A-Fa-f]{3}|[Ff][Ee][89ABab][0-9A-Fa-f]|[Ff][CDcd][0-9A-Fa-f]{2}):[0-9A-Fa-f:]{1,33}(?:[0-9A-Fa-f]|(?<=:):)(?!:?[0-9A-Za-z])"
)


def _is_ipv4(match: re.Match[str]) -> bool:
    """Not an example address, and no version (v1.2.3.4) or section number (1.2.3.4 with small parts) unless so named."""
    if _EXAMPLE_IP.fullmatch(match[0]) or _names_version.search(match.string[max(0, match.start() - 12) : match.start()]):
        return False
    if re.match(r" ?[节章版]", match.string[match.end() : match.end() + 2]):
        return False
    return max(map(int, match[0].split("."))) > 40 or _names_ip(match)


def _is_ipv6(match: re.Match[str]) -> bool:
    groups = match[0].split(":")
    if any(len(group) > 4 for group in groups) or match[0].count("::") > 1 or ":::" in match[0]:
        return False
    if "::" in match[0]:
        return len(groups) <= 8 + match[0].endswith("::")
    return len(groups) == 8 and "" not in groups


# --- phone numbers: E.164; mainland China, North America, and any country code of the ITU

# no part of a longer number, such as 2024-13812345678; but a dash after five digits or more ends another phone number
_LEFT = r"(?:(?<![0-9A-Za-z_])|(?<=[Tt]el|TEL|[Ff]ax|FAX))(?<![0-9][.+])(?<!(?<![0-9]{4})[0-9]-)(?<![$£€¥￥])"
_RIGHT = r"(?!\.?[0-9])(?!_)"
_AREA = r"(?:10|2[0-9]|[3-9][0-9]{2})"
_PHONE = re.compile(
    rf"""{_LEFT}(?:
        (?:\(?(?:\+|00)?86\)?[ -]?)?1[3-9][0-9](?:[ -]?[0-9]{{4}}[ -]?|\.[0-9]{{4}}\.)[0-9]{{4}}(?!\ ?(?:美?元|[股吨噸万萬亿億%％]))
      | (?:\(0{_AREA}\)\ ?|0{_AREA}[ -]?|\(?(?:\+|00)86\)?[ -]?(?:\(0?{_AREA}\)\ ?|0?{_AREA}[ -]?))[1-9][0-9]{{2,3}}[ -]?[0-9]{{4}}
      | (?:\(?(?:\+|00)?86\)?[ -]?)?[48]00[ -](?:[0-9]{{3}}[ -]?[0-9]{{4}}|[0-9]{{4}}[ -]?[0-9]{{3}})
      | 09[0-9]{{2}}-[0-9]{{3}}-[0-9]{{3}}
      | (?:\+?1[ .-])?(?:\([2-9][0-9]{{2}}\)[ -]?|[2-9][0-9]{{2}}[.-])[2-9][0-9]{{2}}[ .-][0-9]{{4}}
      | \+1[ .-]?\(?[2-9][0-9]{{2}}\)?[ .-]?[2-9][0-9]{{2}}[ .-]?[0-9]{{4}}
      | (?P<abroad>\(?(?:\+|00(?=[1-9][0-9]{{0,2}}[ -]))[1-9][0-9]{{0,2}}\)?(?:[ -]?(?:\([0-9]{{1,4}}\)[ -]?)?[0-9]){{6,14}})
    ){_RIGHT}""",
    re.VERBOSE,
)
# without an area code, or with one in a run of digits: only right after a word for a phone
_LOCAL_PHONE = re.compile(
    r"(?:(?:电话|電話|热线|熱線|座机|座機|传真|傳真|客服|拨打|撥打|致电|致電)(?:号码|號碼)?(?:[:：] ?|是|为| )?"
    r"|(?i:(?<![a-z])(?:tel|phone|fax|mobile|hotline)(?: number)?(?:: ?|\. ?)))"
    r"(?P<secret>[2-9][0-9]{2,3}-?[0-9]{4}|[48]00[0-9]{7})(?![ .-]?[0-9])(?! ?[元个次万亿名人部台%％])"
)
_CALLED_PHONE = re.compile(
    r"(?i:(?<![a-z])(?:tel|phone|fax|mobile|hotline|call)(?: number)?(?:: ?|\. ?| at | on | ))"
    r"(?P<secret>[2-9][0-9]{2} ?[2-9][0-9]{2} ?[0-9]{4})(?![ .-]?[0-9])"
)
_COUNTRY = re.compile(
    r"7|2(?:0|7|[1-6][0-9]|9[0-9])|3(?:[0-469]|[578][0-9])|4(?:[013-9]|2[0-9])|5(?:[1-8]|[09][0-9])|6(?:[0-6]|[7-9][0-9])"
    r"|8(?:[124]|[0578][0-9])|9(?:[0-58]|[679][0-9])"
)


def _is_phone(match: re.Match[str]) -> bool:
    """A number from abroad has a country code in use (1 and 86 have patterns of their own) and 9 to 15 digits."""
    if match["abroad"] is None:
        return True
    digits = _digits(match["abroad"].replace("(0)", "")).removeprefix("00")
    return 9 <= len(digits) <= 15 and not digits.startswith("86") and _COUNTRY.match(digits) is not None


# --- secrets in addresses: the values of telling query parameters, and the password before the host

_QUERY = re.compile(r"(?:[?&#]|&amp;)(?P<name>[A-Za-z0-9._-]{1,48})=(?P<secret>[A-Za-z0-9!$%*+,./:=@^_~|-]{3,2048}(?<![.,:!]))")
_PASSWORD = re.compile(r"://[^\s/?#@:\[\]]{0,64}:(?P<secret>[^\s/@\[\]]{1,128})@(?=[A-Za-z0-9\[])")
_USER = re.compile(r"://(?P<secret>[A-Za-z0-9_-]{20,255})@")
_TELLING = re.compile(
    r"(?:.*(?:token|secret|password|passwd|passphrase|pwd|signature|credential|api_?key|access_?key|auth_?key|private_?key|session_?id)s?"
    r"|.*_(?:key|sig|sign|auth|pass)|key|sig|sign|auth|jwt|sid|pass|authorization|accesskeyid|awsaccesskeyid)"
)


def _is_telling(match: re.Match[str]) -> bool:
    return _TELLING.fullmatch(match["name"].lower().replace("-", "_").replace(".", "_")) is not None


# --- keys: shapes that their makers publish (as in gitleaks and GitHub's secret scanning), and assignments of random values

_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:sk-(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{20,255}|[sprk]k_(?:live|test)_[A-Za-z0-9]{16,255}"
    r"|(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}(?![0-9A-Za-z])|LTAI(?=[A-Za-z]*[0-9])[A-Za-z0-9]{12,28}|AKID(?=[A-Za-z]*[0-9])[A-Za-z0-9]{13,40}"
    r"|gh[opusr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255}|glpat-[A-Za-z0-9_-]{20,255}|xox[abeoprs]-[A-Za-z0-9-]{10,255}"
    r"|AIza[0-9A-Za-z_-]{30,40}|hf_[A-Za-z0-9]{20,255}|npm_[A-Za-z0-9]{36}|SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}"
    r"|eyJ[A-Za-z0-9_-]{5,4096}\.[A-Za-z0-9_-]{5,65536}\.[A-Za-z0-9_-]{5,4096})"
)
_PEM_LINE = r"-----{} [A-Z0-9 ]{{0,40}}PRIVATE KEY(?: BLOCK)?-----"
_PEM = re.compile(
    _PEM_LINE.format("BEGIN") + r"(?:(?:[^-\[\]]|-(?!----))*+" + _PEM_LINE.format("END")
    + r"|(?:(?:(?:\s|\\n)*[A-Za-z0-9+/=]{16,}+)++(?:\n[A-Za-z0-9+/=]{1,15}+(?=\n|\Z))?)?)"  # cut off
)  # fmt: skip
_NAME = (
    r"(?:api|secret|access|private|auth|encryption|signing|client)[_ -]?(?:key|secret|token)(?:[_ -]?id)?"
    r"|secret|token|passwords?|passwd|passphrase|pwd|密码|密碼|口令|密钥|密鑰|令牌"
)
_ASSIGNED = r"[\"'”]?\s{0,3}(?:=>|:=|[=:：]|是|为|為)\s{0,3}[\"'“]?"
_ASSIGNMENT = re.compile(
    rf"(?P<name>{_NAME}){_ASSIGNED}(?P<secret>(?:Bearer )?[A-Za-z0-9!#%&*+,./:;=?@^_~|-]{{8,256}}(?<![.,:;!?]))(?![(\[A-Za-z0-9])",
    re.IGNORECASE | re.ASCII,
)


def _is_random(match: re.Match[str]) -> bool:
    """A value of letters and digits with at least 3 bits a character from 16 on; a password from 8 on if it mixes more."""
    value = match["secret"]
    if not (re.search("[A-Za-z]", value) and re.search("[0-9]", value)) or "://" in value:
        return False
    if match["name"].lower().startswith(("pass", "pwd", "密码", "密碼", "口令")) and len(value) < 16:
        return re.search("[^A-Za-z0-9._/-]", value) is not None or (value != value.lower() and value != value.upper())
    shares = [value.count(character) / len(value) for character in set(value)]
    return len(value) >= 16 and -sum(share * math.log2(share) for share in shares) >= 3


_D = r"[ .()（）．－‐‑‒–\x{A0}\x{2009}\x{202F}\x{3000}-]"  # what may stand between digits, before folding

SHAPES: dict[Kind, Shape] = {
    "url_token": Shape(
        "[TOKEN]",
        r"[?&;#][A-Za-z0-9._-]{1,48}=|://[^\s/?#\[\]]{1,255}@",
        (Form(_QUERY, _is_telling), Form(_PASSWORD), Form(_USER)),
        number=False,
    ),
    "key": Shape(
        "[KEY]",
        r"(?:[sprk]k[-_]|hf_|npm_|gh[opusr]_|github_pat_|glpat-|AKIA|ASIA|AROA|AIDA|AKID|AIza|LTAI)[A-Za-z0-9_-]{12}|xox[a-z]-|SG\.|eyJ"
        r"|PRIVATE KEY|(?i:key|secret|token|passwords?|passwd|passphrase|pwd|密码|密碼|口令|密钥|密鑰|令牌)(?i:[_ -]?id)?"
        rf"{_ASSIGNED}[!-~]{{6}}",
        (Form(_PEM), Form(_KEY), Form(_ASSIGNMENT, _is_random)),
        number=False,
    ),
    "email": Shape("[EMAIL]", r"[A-Za-z0-9_%+-]@[A-Za-z0-9]", (Form(_EMAIL, _reaches_someone),), number=False),
    "id_card": Shape(
        "[ID_CARD]", rf"(?:[0-9]{_D}?){{14}}[0-9]", (Form(_ID_CARD, _is_id_card), Form(_OLD_ID_CARD, _is_old_id_card))
    ),
    "uscc": Shape("[USCC]", r"[1-9A-HJ-NP-RTUWXY][1-59A-G][0-9]{6}[0-9A-HJ-NP-RTUWXY]{10}", (Form(_USCC, _is_uscc),)),
    "bank_card": Shape("[BANK_CARD]", rf"(?:[0-9]{_D}?){{12}}[0-9]", (Form(_BANK_CARD, _is_bank_card),)),
    "ip": Shape(
        "[IP]",
        r"[0-9][.．][0-9]{1,3}[.．][0-9]{1,3}[.．][0-9]|[0-9A-Fa-f]{4}:[0-9A-Fa-f]{0,4}:",
        (Form(_IPV4, _is_ipv4), Form(_IPV6, _is_ipv6)),
    ),
    "phone": Shape(
        "[PHONE]", rf"(?:[0-9]{_D}{{0,3}}){{6}}[0-9]", (Form(_PHONE, _is_phone), Form(_LOCAL_PHONE), Form(_CALLED_PHONE))
    ),
}
"""The kinds, in the order in which they take their part of a text: an id card is no phone, a password no e-mail."""
