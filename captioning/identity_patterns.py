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
MONTH_ALONE = re.compile(r"(?:^|[.;]\s+)(?:March|May|August)\s*[:,.]", re.IGNORECASE)
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
    r"|reference (?:number|no))\b|#\s?\w*|\bward\s+(?:[A-Z]|\d\w*)(?!\w)",
    re.IGNORECASE,
)
CONTACTS = re.compile(
    r"\S@\S|(?<!\w)@\w|https?:|\bwww\.|\b[\w-]+\.(?:com|org|net|edu|gov|co\.uk|de|fr|io|info|dcm|jpe?g|png|nii)\b"
    r"|\b\w+\s+(?:dot|\[dot\]|\(dot\))\s+(?:com|org|net|edu|gov|uk|de|fr|io|info)\b"
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
_CAPITALS = "A-Z" + "".join(chr(code) for code in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00)) if chr(code).isupper())
_STARTS = r"(?:The|An?|This|These|Those|It|Its|In|On|At|There|No|Both|Each|Some|All|Around|Below|Above|Between)\b"
INITIALS = re.compile(
    rf"(?<![\w.-])(?<!&)(?:[{_CAPITALS}]\.\s?){{2,}}"
    rf"|(?<![\w.-])(?<!&)[{_CAPITALS}]\.\s?(?!{_STARTS})[{_CAPITALS}][\w'’-]+"
    rf"|\b[{_CAPITALS}][^\W\d_A-Z][^\W\d_]*(?:['’-][^\W\d_]+)*,?\s+[{_CAPITALS}]\.(?=[\s,:;)\]]|$)"
    rf"|\b[{_CAPITALS}][\w'’-]+\s+(?!I\b)[{_CAPITALS}]\s+[{_CAPITALS}][\w'’-]+|\w\^\w"
)
LIKE = re.compile(r"-(?:like|style|type|shaped|stained|positive|negative)\b")
ONLY_PERSONS = re.compile(r",?\s+(?:who|whose|underwent|presented|complained|was (?:admitted|diagnosed|born))\b")
BY_WHOM = re.compile(r"\b(?:of|for|from|by|named) $", re.IGNORECASE)
PERSONAL = re.compile(
    r"(?:['’]s)?,?\s+(?:who|whose|underwent|presented|presents|complain\w*|aged|born|suffer\w*|was (?:admitted|"
    r"diagnosed|referred|seen|scanned|born)|had|has|shows|showed|is an? (?:\w+ )?(?:patient|man|woman|boy|girl))\b"
)
COLOURS = {"white", "brown", "green", "gray", "grey", "black", "blue", "golden", "gold", "silver", "purple", "rose"}
FIRST_NAMES = {"rose", "may", "amber", "violet", "olive", "crystal", "frank", "rich", "long", "young", "white", "brown"}
OWNS = re.compile(r"['’]s\b|,?\s+(?:has|had)\b")
_TECHNIQUE = (
    r"(?:axial|coronal|sagittal|CT|MRI?|PET|PA|AP|T[12]\S*|ultrasound|fundus|chest|brain|abdomen|knee|dermoscop\w+"
    r"|endoscop\w+|colonoscop\w+|mammogra\w+|radiogra\w+|X-ray|x-ray|ECG|electrocardiogra\w+|H&E|histolog\w+)"
)
BEFORE_A_TECHNIQUE = re.compile(rf"[,:.]?\s+(?:[-–]\s+)?{_TECHNIQUE}(?!\w)")
AFTER_A_ROLE = re.compile(
    r"\b(?:patient|subject|client|nurse|doctor|physician|radiologist|surgeon|operator|technologist|technician"
    r"|pathologist|endoscopist|sonographer|by|named|called)\s*[:,]?\s+$",
    re.IGNORECASE,
)
BRACKETS = ("()", "[]", "“”", '""', "''", "‘’")
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
_VERTEBRA = r"(?:C[1-8]|Th?(?:[1-9]|1[0-2])|L[1-6]|S[1-5])"
TECHNICAL = re.compile(  # terms with digits: weightings, vertebrae, leads, segments of arteries, markers of cells
    rf"(?<![\w-])(?:T[12]\*?(?:-?weighted|-?[Ww](?:eighted|I)?)?|[23]-?D|[23]-dimensional|{_VERTEBRA}"
    rf"(?:[-–/](?:{_VERTEBRA}|[1-9]))?|V[1-9]R?(?:[-–]V?[1-6])?|CO2|O2|H2O2?|N2O|OM[1-3]|D[1-3]|M[1-4]|A[1-5]|P[1-4]"
    r"|CD(?:1a|3|4|5|8|10|15|20|21|23|30|31|34|38|43|45|56|57|68|79a|99|117|138|163)|Ki-?67|HER-?2|p53|p16|p40|p63|CK(?:5/6"
    r"|7|8|14|18|19|20)|CDX-?2|TTF-?1|PAX-?(?:2|5|8)|GATA-?3|SOX-?(?:9|10|11)|S-?100|BCL-?(?:1|2|6)|MUM-?1|MUC-?[1-6]"
    r"|HMB-?45|WT-?1|INI-?1|DOG-?1|SATB2|MLH1|MSH[26]|PMS2|IDH-?1|PD-?L?1|Tc-?99m|99mTc|F-?18|18F(?:-FDG)?|I-?131|Ga-?68"
    r"|IgG4|LI-?RADS|PI-?RADS)(?![\w-]*\d)"
)
AROUND = ".,;:!?'’“”\"()[]"
