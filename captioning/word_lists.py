"""Words that are no names: the vocabularies behind the check for persons in answers.

captioning/words/ordinary.txt holds frequent English words in lower case, of the NIH's SPECIALIST Lexicon as the package
LemmInflect (MIT) carries it; medical.txt those of DICOM's concept names as pydicom (MIT) carries them, with terms of
descriptions of pictures; rarer.txt terms of Latin and Greek that Webster's Second, whose copyright has lapsed, has
beside them, as the package english-words (MIT) carries it; names_too.txt words that are far more often a person's, and
stand in none of these. The other lists were written for this check: eponyms.txt holds names of persons that terms of
medicine hold (captioning/eponyms.py), surnames.txt words that many persons are called by as well. A word that is built
from known parts by the rules of medical English counts as known.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent / "words"
PARTS = re.compile(
    r"(?:itis|osis|oses|omata|omas?|graph\w{0,6}|gram|scop(?:y|ic|ically|ies)|path(?:y|ies|ic|ological)|plas(?:ia|tic)"
    r"|emia|aemia|ectom(?:y|ies)|otom(?:y|ies)|ostom(?:y|ies)|uria|olog(?:y|ical|ic|ically)|algia|genic|philic|cyt(?:ic|es?)"
    r"|cytosis|tions?|ised|ized|ously|oid|ular|ulated|iform|nesses|ness|ments|able|ible|ability|ously|escence|escent"
    r"|ectatic|ectasia|liths?|phytes?|ous|ated|ically|icity|sclerotic|stenotic|trophic|trophy|genesis|lytic|blastic|mucosal|vascular)$"
)
LOWER_CASE = ("ordinary", "latin", "describing", "rarer")  # lists of words that pass without a capital
LONG_ENOUGH = 8  # letters of a word that is known by its ending alone
PREFIX = re.compile(
    r"^(?:non|sub|peri|intra|extra|hyper|hypo|inter|supra|infra|retro|trans|post|pre|para|endo|epi|micro|macro|multi"
    r"|semi|anti|un|over|under|auto|bi|tri|uni|poly|fibro|neuro|osteo|cardio|gastro|broncho|naso|antero|postero|infero"
    r"|supero|medio|latero|dorso|ventro|muco|vaso|myo|reticulo|hepato|spleno|pleuro|angio|lympho|retino|tubulo"
    r"|o?esophago|duodeno|ileo|jejuno|recto|chole(?:cysto|docho)|utero|vesico|uretero|costo|sterno|acromio|coraco|gleno"
    r"|humero|radio|ulno|tibio|femoro|patello|talo|calcaneo|pharyngo|laryngo|tracheo|bronchio|thoraco|lumbo|sacro"
    r"|cervico|occipito|parieto|temporo|fronto|spheno|maxillo|palato|cerebro|cerebello|cranio|arterio|atrio|ventriculo"
    r"|aorto|adeno|squamo|kerato|melano|ha?emato|erythro|leuko|thrombo|chondro|capsulo|glomerulo|nephro|pyelo|urethro"
    r"|oculo|irido|sclero|chorio|vitreo|papillo|dermo|onycho|tricho)"
)
SHORTEST_REST = 5
OF_A_TERM = re.compile(r"(?:al|ar|ic|ous|oid|ary|ium|eum|um|us|ine|ia|ae|ive)$")  # of what follows a prefix

PREFIXES = frozenset(  # that may stand before a hyphen
    (
        "non", "sub", "peri", "intra", "extra", "hyper", "hypo", "inter", "supra", "infra", "retro", "trans", "post",
        "pre", "para", "endo", "epi", "micro", "macro", "multi", "semi", "anti", "auto", "bi", "tri", "uni", "poly",
        "mid", "co", "re", "ante", "juxta", "pseudo", "quasi", "ultra", "iso", "hemi", "mono",
    )
)  # fmt: skip


@cache
def words_of(name: str) -> frozenset[str]:
    """A list of captioning/words."""
    return frozenset((FOLDER / f"{name}.txt").read_text(encoding="utf-8").split())


def is_grammar(word: str) -> bool:
    """Whether `word`, in lower case, is one of the words that hold sentences together."""
    return word in words_of("grammar")


def is_abbreviation(word: str) -> bool:
    """Whether `word` is a known abbreviation, in the singular or plural."""
    return word in words_of("abbreviations") or (word[-1:] == "s" and word[:-1] in words_of("abbreviations"))


def is_term(word: str) -> bool:
    """Whether `word`, in lower case, is a maker, a method or an adjective that is made of a name."""
    return word in words_of("terms")


def is_medical(word: str) -> bool:
    """Whether `word`, in lower case, is a term that may stand in capitals as well."""
    return word in words_of("medical")


def is_surname(word: str) -> bool:
    """Whether `word`, in lower case, is a word that many persons are called by as well: short, stone, hand."""
    return word in words_of("surnames")


def is_also_a_name(word: str) -> bool:
    """Whether `word`, in lower case, is a word but far more often a person's name."""
    return word in words_of("names_too")


@lru_cache(maxsize=65536)
def is_word(word: str) -> bool:
    """Whether `word`, in lower case and without hyphens, is one of English or medicine and no name."""
    if is_also_a_name(word):
        return False
    if is_grammar(word) or is_medical(word) or any(word in words_of(name) for name in LOWER_CASE):
        return True
    if word.endswith(("'s", "’s")):
        return is_word(word[:-2])
    for ending, instead in (("s", ""), ("es", ""), ("ies", "y"), ("ly", ""), ("ally", ""), ("ed", ""), ("ed", "e")):
        if word.endswith(ending) and len(stem := word.removesuffix(ending) + instead) >= SHORTEST_REST - 1:
            known = is_medical(stem) or any(stem in words_of(name) for name in LOWER_CASE)
            if known and not is_also_a_name(stem):
                return True
    if len(word) >= LONG_ENOUGH and word.isascii() and PARTS.search(word):
        return True
    rest = PREFIX.sub("", word, count=1)
    return rest != word and len(rest) >= SHORTEST_REST and (OF_A_TERM.search(rest) is not None or is_word(rest))
