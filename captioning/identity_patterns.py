"""What dates, numbers of records, addresses, hospitals and the surroundings of names look like in English.

The patterns of captioning/identities.py. They err towards finding too much: an answer that is refused is asked for
again, while a name that passes is in the data set for good.
"""

from __future__ import annotations

import re

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
NUMBERED = re.compile(r"[^\s,;()\[\]\"“”]*\d[^\s,;()\[\]\"“”]*")
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
_ONES = r"(?:one|two|three|four|five|six|seven|eight|nine)"
_TEENS = r"(?:thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen)"
_TENS = r"(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)"
_ORDINAL = (
    r"(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|\w+teenth|twentieth"
    r"|thirtieth|twenty[- ]\w+|thirty[- ]first)"
)
DATES = re.compile(
    r"\b(?:january|february|april|june|july|september|october|november|december)\b"
    r"|\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b"
    rf"|\b{_ORDINAL},?\s+(?:day\s+)?(?:of\s+)?{_MONTH}\b|\b{_MONTH}\.?,?\s+(?:the\s+)?{_ORDINAL}\b"
    rf"|\b(?:in|of|on|since|during|last|until|before|after|early|late|mid)[ -]+(?:march|may|august|spring"
    rf"|autumn)\b(?!\s+be)"
    rf"|\b{_MONTH}\.?,?\s*(?:the\s+)?\d|\d(?:st|nd|rd|th)?[\s,.-]*(?:of\s+)?{_MONTH}\b"
    rf"|\b{_MONTH}\.?\s*{_TENS}\b|\b(?:{_ONES}|ten|eleven|twelve|{_TEENS}|{_TENS})\s+(?:of\s+)?{_MONTH}\b(?!\s+be)"
    r"|\b(?:nineteen|twenty)[- ](?:hundred|oh|o|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|seventy"
    r"|eighty"
    r"|ninety)\b|\b(?:twenties|thirties|forties|fifties|sixties|seventies|eighties|nineties)\b"
    r"|\b(?:o'clock|o’clock|noon|midnight|birthday|christmas|easter)\b|\bborn (?:in|on|at)\b|\bdate of birth\b"
    r"|\bd\.?o\.?b\b",
    re.IGNORECASE,
)
CAPITAL_MONTH = re.compile(r"(?<=[a-z,] )(?:March|May|August|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b")
LARGE = re.compile(
    rf"\b(?:hundreds?|thousands?|million|{_TENS}|{_TEENS})\b(?!-?fold)"
    rf"|\b(?:{_ONES}|zero|oh|ten|eleven|twelve)(?:[\s,-]+(?:{_ONES}|zero|oh)){{2,}}\b"
    r"|\b(?:nonagenarian|centenarian|octogenarian)s?\b",
    re.IGNORECASE,
)
RECORDS = re.compile(
    r"\b(?:mrn|ssn|nhs|passport|accession|medical record|health record|record (?:number|no)|case (?:number|no)"
    r"|chart (?:number|no)|(?:patient|study|hospital|exam|subject|file|insurance|social security|serial|account|room"
    r"|bed"
    r"|licen[cs]e)[' ’]*s?\s+(?:id|identifier|identification|number|no)\b|id(?:entifier)?\s*[:#=]|identification number"
    r"|reference (?:number|no))\b|#\s?\w*",
    re.IGNORECASE,
)
CONTACTS = re.compile(
    r"\S@\S|(?<!\w)@\w|https?:|\bwww\.|\b[\w-]+\.(?:com|org|net|edu|gov|co\.uk|de|fr|io|info|dcm|jpe?g|png|nii)\b"
    r"|\b(?:at|\[at\]|\(at\))\s+\w+\s+(?:dot|\[dot\]|\(dot\))\s+\w+|\b(?:e-?mail|phone|telephone|tel|fax|mobile"
    r"|whatsapp"
    r"|twitter|instagram|facebook|handle)\s*(?:[:.]|is|number|no\b)",
    re.IGNORECASE,
)
_HOUSE = (
    r"(?:hospital|clinic|infirmary|university|medical (?:cent(?:er|re)|school)|health ?care system|nursing home"
    r"|college)"
)
HOUSES = re.compile(
    rf"\b[^\W\d_][\w.'’-]*\s+(?:[A-Z]\w+\s+)?{_HOUSE}s?\b|\b{_HOUSE}\s+(?:of|in|at)\s+(?!the\b|a\b|an\b)\w+",
    re.IGNORECASE,
)
PLAIN_HOUSE = re.compile(
    r"(?:a|an|the|in|of|to|typical|standard|or|and|this|wearing|blue|white|green|patterned|clinical"
    r"|modern)\s+\w+(?:\s+\w+)?$",
    re.IGNORECASE,
)
TITLED = re.compile(  # never in capitals alone: MR is a technique
    r"\b(?:[Mm](?:r|rs|s|x|iss|ister|issus|adam|adame|onsieur|me|lle)|[Dd]rs?|[Pp]rof(?:essor)?|[Rr]ev|[Hh]err|[Ff]rau"
    r"|[Ss]e[nñ]ora?)\b\.?\s+(?=(?P<name>[^\W\d_][\w'’.-]*))"
)
NAMED = re.compile(
    r"\b(?:(?:sur|nick)?named|names? (?:is|was|reads?)|(?:patient|person|man|woman|boy|girl|subject) called"
    r"|courtesy of|(?:signed|dictated|reported|interpreted|reviewed|referred) by)\s+"
    r"(?!(?:visible|shown|hidden|obscured|redacted|covered|masked|removed|illegible|blurred)\b)"
    r"(?=(?P<name>[^\W\d_][\w'’-]*))",
    re.IGNORECASE,
)
CUED = re.compile(
    r"\b(?:named|called|nicknamed|surnamed|known as|name is|name was|names? reads?|named as|identified as"
    r"|signed(?: by)?"
    r"|(?:reported|read|performed|acquired|interpreted|dictated|referred|taken|recorded|reviewed|requested|ordered"
    r"|prepared|annotated|labell?ed|courtesy|submitted|provided|captured|scanned|examined|operated) (?:by|for|of)"
    r"|(?:first|last|full|family|given|patient|maiden|middle)(?:['’]s)? names?|surname|initials?"
    r"|(?:patient|subject|client|nurse|doctor|sister|father|sir|physician|radiologist|surgeon|operator|technologist|technician|pathologist|person|man"
    r"|woman|boy|girl|lady|gentleman|child|infant|baby|belongs to|belonging to)(?:\s*[:,-])?)"
    r"\s+(?:is\s+|was\s+|reads?\s+)?(?=(?P<name>[^\W\d_][\w'’-]*))",
    re.IGNORECASE,
)
FIELD_NAME = re.compile(
    r"\b(?:pt|patient|name|names|physician|doctor|operator|ref(?:erring)?|surname|initials|hospital"
    r"|institution)\s*[:=]\s*\S",
    re.IGNORECASE,
)
INITIALS = re.compile(
    r"(?<![\w.-])(?:[A-Z]\.\s?){2,}|(?<![\w.-])[A-Z]\.\s?[A-Z][\w'’-]+|\b[A-Z][a-z'’-]+,?\s+[A-Z]\.(?=\s|,|$)"
    r"|\b[A-Z][\w'’-]+\s+(?!I\b)[A-Z]\s+[A-Z][\w'’-]+|\w\^\w"
)
LIKE = re.compile(r"-(?:like|style|type|shaped|stained|positive|negative)\b")
_PARTICLES = r"(?:(?:de|da|di|du|del|della|dos|van|von|der|den|ter|la|le|el|al|bin|ibn|st)[ -]){0,2}"
OF_WHOM = re.compile(rf"\b(?:of|for|from|by|named|and|with|to) {_PARTICLES}$", re.IGNORECASE)
ONLY_PERSONS = re.compile(r",?\s+(?:who|whose|underwent|presented|complained|was (?:admitted|diagnosed|born))\b")
BY_WHOM = re.compile(r"\b(?:of|for|from|by|named) $", re.IGNORECASE)
PERSONAL = re.compile(
    r"(?:['’]s)?,?\s+(?:who|whose|underwent|presented|presents|complain\w*|aged|born|suffer\w*|was (?:admitted|"
    r"diagnosed|referred|seen|scanned|born)|had|has|shows|showed|is an? (?:\w+ )?(?:patient|man|woman|boy|girl))\b"
)
START_NAMES = {  # words that begin sentences of pictures, and name a person before what only a person does
    "rose", "may", "amber", "violet", "olive", "crystal", "frank", "rich", "long", "young", "white", "brown", "green",
    "black",
}  # fmt: skip
OFTEN_CAPITAL = {
    "a",
    "an",
    "the",
    "this",
    "these",
    "it",
    "its",
    "in",
    "on",
    "of",
    "and",
    "with",
    "no",
    "not",
    "at",
}  # in titles
PERSONS = {"patient", "patients", "subject", "subjects", "person", "woman", "man", "child", "infant"}
TECHNICAL = re.compile(  # terms with digits: weightings, vertebrae, leads, markers of cells
    r"(?<![\w-])(?:T[12]\*?(?:-?weighted|W)?|[23]-?D|[23]-dimensional|(?:C[1-8]|T(?:[1-9]|1[0-2])|L[1-6]|S[1-5])"
    r"(?:[-–/](?:(?:C[1-8]|T(?:[1-9]|1[0-2])|L[1-6]|S[1-5])|[1-9]))?|V[1-6](?:[-–]V?[1-6])?|CO2|O2|H2O|p53|p16|p63"
    r"|CD(?:3|4|8|10|20|30|31|34|45|56|68|117|138)|Ki-?67|HER2)(?![\w-]*\d)"
)
AROUND = ".,;:!?'’“”\"()[]"
