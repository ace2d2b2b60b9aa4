"""Persons' names inside terms of medicine: `Kerley B lines` and `circle of Willis` name nobody, `Kerley has` may.

A name that captioning/words/eponyms.txt lists passes within its term alone: before a noun that such names stand before,
after `<noun> of`, after an article, or joined to others in a name that is known as a whole. A name that no list has
passes only before the nouns of SIGNS, of which a patient has none.
"""

from __future__ import annotations

import re

from captioning.word_lists import words_of

_SIGNS = (
    r"signs?|disease|syndrome|phenomenon|triangle|classification|criteria|scale|score|grade|grading|index|staging|type"
    r"|stain(?:ing|ed|s)?|catheters?|forceps|clamps?|retractors?|dissectors?|graspers?|scissors|speculum|trocars?"
    r"|cannula|canula|fascia|fissures?|sulcus|sulci|pouch|foram(?:en|ina)|bod(?:y|ies)|corpuscles?|fib(?:re|er)s?"
    r"|wires?"
    r"|striae|ringing|phase|silver|papillae?|jelly|plexus|nodes?|rings?|canals?|units?|lymphoma|membranes?|patch(?:es)?"
)
_PARTS = (
    r"cells?|glands?|ligaments?|capsule|cysts?|fractures?|tendons?|tubes?|circle|ducts?|o?esophagus|diverticul(?:um|a)"
    r"|spots?|sarcoma|n(?:a?e)v(?:us|i)|tumou?rs?|rods?|spaces?|lines?|fat pads?|clefts?|mucosa|epithelium|segments?"
    r"|malformations?|palsy|abscess(?:es)?|angles?|areas?|layers?|zones?|arch|arter(?:y|ies)|veins?|bands?|bundles?"
    r"|crests?|valves?|loops?|lobes?|hernias?|ulcers?|lesions?|tears?|operation|procedure|position|view|projection"
    r"|method|technique|ratio|number|limit|filter|transform|plot|curves?|test|reaction|reagent|solution|medium|agar"
    r"|blue|red|green|trichrome|needles?|probes?|drains?|splints?|nails?|plates?|screws?|pins?|stents?|grafts?"
    r"|prosthes[ie]s|bags?|trays?|reticulum|pits?|keratosis|exostosis|deformity|contracture|thyroiditis|arthropathy"
    r"|joints?|chorea|ataxia|dystrophy|anomaly|complex(?:es)?|points?|grooves?|tubercles?|process(?:es)?|notch(?:es)?"
    r"|cartilages?|recess(?:es)?|caves?|ganglion|cords?|muscles?|nerves?|organs?|patterns?|systems?|stage|formula"
    r"|variants?|granul(?:es|oma)|inclusions?|nodules?|limbus|mem(?:brane)|islets?|crypts?|follicles?|tubules?"
    r"|sinus(?:es)?"
    r"|bacill(?:us|i)|flow|box|signals?|imag(?:e|es|ing)|ultrasound|sonography|waveforms?|effect|mode|gate|spectrum|shift|scan"
    r"|smears?|films?|preparation|counterstain|positive|negative|stones?|carcinoma|adenoma|polyps?|mucosal|intervals?"
    r"|[A-Z] lines?|haematoxylin|hematoxylin|eosin|acid|technique|lenticule|rests?|macule|papules?|pustules?|plaques?"
    r"|erosions?|gastritis|gangrene|goitre|goiter|paralysis|reflex|tract|tunnel|commissure|decussation|nucle(?:us"
    r"|i)|gyr(?:us|i)"
    r"|knife|saw|drill|tube|balloon|pump|port|device|implant|graft|shunt|anastomosis|loop|resection|incision"
    r"|suture|knot"
    r"|microscope|endoscope|scanner|system|probe|slides?|lamp|lens|camera"
)
_JOINED = r"(?:['’]s?)?(?:(?:[-–/]| and | or | & |, )[A-Z][^\W\d_]+(?:['’]s?)?)*"
SIGNS = re.compile(rf"(?:[-–][A-Z]\w+)*\s+(?:{_SIGNS})\b|[-–](?:like|style|type|stained|positive|negative)\b")
TERM = re.compile(
    rf"{_JOINED}(?:\s+(?:type|balloon|fat|duodenal|giant|methenamine|urinary|nerve|acid))?"
    rf"[\s-]+(?:[A-Z] )?(?:{_SIGNS}|{_PARTS})\b(?!['’]s)"
    r"|[-–](?:like|style|stained)\b"
)
OF_A_TERM = re.compile(
    r"\b(?i:ampulla|circle|sphincter|ligaments?|pouch|islets?|loops?|angle|papilla|foram(?:en|ina)|capsule|canals?|crypts?"
    r"|islands?|bundle|nodes?|triangle|cave|veins?|valves?|tetralogy|tunics?|spaces?|fascia|glands?|organ|zonules?"
    r"|plexus"
    r"|lines?|membrane|fissure|sulcus|gyrus|area|aqueduct|cistern|ducts?|recess|antrum|sinus|ring|bodies|cells?"
    r"|fib(?:re|er)s|corpuscles?|rests?|fold|folds|tubercle|notch|process|point|crus|band|layer|space|tract|nerve"
    r"|arter(?:y|ies)|muscle|striae|spots?|lobe|hernia|sign|type|method|stain|score|stage|described by|named after)"
    r" of (?:[A-Z][^\W\d_]+(?:,| and|-) ?)?$"
)
ARTICLE = re.compile(r"\b(?:an?|the|[Aa]n?|The) $")
WHOLE = (  # names of several persons that need no noun
    "wolff-parkinson-white", "mallory-weiss", "reed-sternberg", "virchow-robin", "ziehl-neelsen", "swan-ganz",
    "arnold-chiari", "budd-chiari", "dandy-walker", "kellgren-lawrence", "warthin-starry", "may-grünwald",
    "non-hodgkin", "osgood-schlatter", "dubin-johnson", "henoch-schönlein", "warthin-finkeldey", "legg-calvé-perthes",
    "hill-sachs", "da-vinci",
)  # fmt: skip
_WHOLE = re.compile(rf"(?<!\w)(?:{'|'.join(name.replace('-', '[-– ]') for name in WHOLE)})(?!\w)", re.IGNORECASE)


def is_eponym(word: str) -> bool:
    """Whether `word`, in lower case and without possessive, is a person's name that terms of medicine hold."""
    return word in words_of("eponyms")


def in_a_term(text: str, start: int, end: int) -> bool:
    """Whether the name in `text` from `start` to `end`, possessive included, is a part of a term there."""
    word = text[start:end]
    if word.isupper():
        return False
    if any(whole.start() <= start and end <= whole.end() for whole in _WHOLE.finditer(text)):
        return True
    name = re.sub(r"['’]s$", "", word)
    if not is_eponym(name.lower()):
        return word[0].isupper() and name == word and SIGNS.match(text, end) is not None
    if TERM.match(text, start + len(name)) or OF_A_TERM.search(text[:start]):
        return True
    return name == word and ARTICLE.search(text[:start]) is not None and text[end : end + 1] not in ("'", "’", "-", "–")
