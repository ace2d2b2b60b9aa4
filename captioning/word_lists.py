"""Words that are no names: the vocabularies behind the check for persons in answers.

captioning/words/ordinary.txt holds frequent English words in lower case, of the NIH's SPECIALIST Lexicon as the package
LemmInflect (MIT) carries it; medical.txt those of DICOM's concept names as pydicom (MIT) carries them, with terms of
descriptions of pictures; names_too.txt words that are far more often a person's, and stand in neither. The short lists
beside them were written for this check. A word that is built from known parts by the rules of medical English counts as
known.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path

from captioning.wording import EPONYMS

FOLDER = Path(__file__).parent / "words"
PARTS = re.compile(
    r"(?:itis|osis|oses|omata|omas?|graph\w{0,6}|gram|scop(?:y|ic|ically|ies)|path(?:y|ies|ic|ological)|plas(?:ia|tic)"
    r"|emia|aemia|ectom(?:y|ies)|otom(?:y|ies)|ostom(?:y|ies)|uria|olog(?:y|ical|ic|ically)|algia|genic|philic|cyt(?:ic|es?)"
    r"|cytosis|tions?|ised|ized|ously|oid|ular|ulated|iform|nesses|ness|ments|able|ible|ability|ously|escence|escent"
    r"|ectatic|ectasia|liths?|phytes?|ous|ated|ically|icity|sclerotic|stenotic|trophic|trophy|genesis|lytic|blastic|mucosal|vascular)$"
)
LONG_ENOUGH = 8  # letters of a word that is known by its ending alone
PREFIX = re.compile(
    r"^(?:non|sub|peri|intra|extra|hyper|hypo|inter|supra|infra|retro|trans|post|pre|para|endo|epi|micro|macro|multi"
    r"|semi|anti|un|over|under|auto|bi|tri|uni|poly|fibro|neuro|osteo|cardio|gastro|broncho|naso|antero|postero|infero"
    r"|supero|medio|latero|dorso|ventro|muco|vaso|myo|reticulo|hepato|spleno|pleuro|angio|lympho|retino|tubulo)"
)
SHORTEST_REST = 5
OF_A_TERM = re.compile(r"(?:al|ar|ic|ous|oid|ary|ium|eum|um|us|ine|ia|ae|ive)$")  # of what follows a prefix

# a person's name that may stand in a caption before such a noun, or after `<noun> of`
EPONYM = re.compile(
    r"(?:-[A-Z]\w+)*\s+(?:signs?|nodes?|rings?|disease|cells?|bod(?:y|ies)|glands?|canals?|membranes?|patch(?:es)?"
    r"|triangle|ligament|pouch|fascia|capsule|stain(?:ing|ed|s)?|units?|catheters?|cysts?|fractures?|tendons?|tubes?"
    r"|fissures?|sulcus|circle|ducts?|oesophagus|esophagus|corpuscles?|fib(?:re|er)s?|wires?|diverticul(?:um|a)"
    r"|scale|score|grade|classification|spots?|lymphoma|sarcoma|nevus|naevus|clamps?|forceps|retractors?|plexus"
    r"|foramen|tumou?r|syndrome|rods?|striae|ringing|phenomenon|phase|dissectors?|silver|papillae?|jelly|spaces)\b"
)
OF_EPONYM = re.compile(
    r"\b(?:ampulla|circle|sphincter|ligament|pouch|islets?|loops?|angle|papilla|foram(?:en|ina)|capsule|canal|crypts?"
    r"|island|bundle|node|triangle|cave|vein|valves?|tetralogy|tunics?|space|fascia|glands?|organ|zonule) of $"
)


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
    """Whether `word`, in lower case, is a person's name that stands for a method or a disease by itself."""
    return word in words_of("terms") or word in EPONYMS


def is_medical(word: str) -> bool:
    """Whether `word`, in lower case, is a term that may stand in capitals as well."""
    return word in words_of("medical")


def is_also_a_name(word: str) -> bool:
    """Whether `word`, in lower case, is a word but far more often a person's name."""
    return word in words_of("names_too")


@lru_cache(maxsize=65536)
def is_word(word: str) -> bool:
    """Whether `word`, in lower case and without hyphens, is one of English or medicine and no name."""
    if is_also_a_name(word):
        return False
    if is_grammar(word) or word in words_of("latin") or word in words_of("ordinary") or is_medical(word):
        return True
    if word.endswith(("'s", "’s")):
        return is_word(word[:-2])
    for ending, instead in (("s", ""), ("es", ""), ("ies", "y"), ("ly", ""), ("ally", ""), ("ed", ""), ("ed", "e")):
        if word.endswith(ending) and len(stem := word.removesuffix(ending) + instead) >= SHORTEST_REST - 1:
            known = stem in words_of("ordinary") or is_medical(stem)
            if known and not is_also_a_name(stem):
                return True
    if len(word) >= LONG_ENOUGH and word.isascii() and PARTS.search(word):
        return True
    rest = PREFIX.sub("", word, count=1)
    return rest != word and len(rest) >= SHORTEST_REST and (OF_A_TERM.search(rest) is not None or is_word(rest))
