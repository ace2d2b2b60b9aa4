"""Other words in which a text may say what a label says: spelling, number, order, stem, abbreviation, a wider word.

Each form is a label of its own, with the state and the scope of the one that it was made of, so a form that is denied,
or said of another unit, is judged as the label's own name would be. A form that says more than the label is none:
`thrombosis` of a deep vein thrombosis passes, `arterial thrombosis` and `thrombosis of the RCA` do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from captioning.answer_wordings import DISEASES
from captioning.eponyms import is_eponym
from captioning.truth import FINDINGS
from captioning.word_lists import is_abbreviation, is_grammar, is_medical, words_of
from captioning.wording import IN_PAIRS, ORGANS, is_none_of, label_name
from shards.attributes import decode
from shards.manifest import Label, Sample

CO_REFERENCE = ("lesion", "mass", "abnormality", "finding")  # other words for a labelled finding
SPELLINGS = (("oes", "es"), ("oed", "ed"), ("haem", "hem"), ("naev", "nev"), ("tumour", "tumor"), ("aem", "em"))
TUMOUR = re.compile(r"(?:carcin|sarc|blast|gli|mel(?:an)|mening|aden|lymph|schwann|neur|fibr|lip|my)omas?$|neoplasms?$")
STONES = re.compile(r"stones?$|lithiasis$|calcul(?:us|i)$")
DENSER = re.compile(r"(?:effusion|consolidation|atelectasis|pneumonia|infiltrat\w+|o?edema|mass|nodule)s?$")
ENLARGED = {  # by label: what is enlarged
    "cardiomegaly": ("heart", "cardiac silhouette", "cardiac shadow", "heart shadow"),
    "hepatomegaly": ("liver",),
    "splenomegaly": ("spleen",),
    "thyromegaly": ("thyroid", "thyroid gland"),
}
GENERIC = ("syndrome", "disease", "disorder", "infection", "abnormality", "sign", "pattern", "change", "changes")
STEM = re.compile(
    r"(?:ications?|ifications?|ations?|at(?:ed|ing|ic|ive)|ions?|ed|ing|ic|ive|[oa]s[ie]s|[oa]tic|osed|asis|us|i|isms?|es|s"
    r"|ied|ies|y|e)$"
)
SHORTEST_STEM = 4  # letters
WORD = re.compile(r"[^\W\d_]+")
PARTLY = re.compile(r"(?:al|ic|ar|ary|ous)$")  # adjectives, of which most name a part of the body
PARTS = ORGANS | IN_PAIRS | {
    "aorta", "artery", "atrium", "bladder", "bone", "bowel", "bronchus", "chest", "head", "mandible",
    "mediastinum", "muscle", "neck", "nerve", "node",
    "nose", "pericardium", "pleura", "rib", "sacrum", "scalp", "sternum", "tongue", "tooth", "ventricle", "vertebra",
    "pancreas", "pelvis", "prostate", "skin", "skull", "spine", "thyroid", "trachea", "ureter", "uterus", "vein",
}  # fmt: skip
VERB = re.compile(r"(?:ing|s)$")
PLAIN = {  # words beside a finding that tell nothing of the part of the body it lies in
    "bright", "dark", "white", "grey", "gray", "black", "red", "yellow", "brown", "blue", "pink", "pale", "purple",
    "green", "round", "smooth", "thin", "hazy", "dense", "heterogeneous", "homogeneous", "lobulated", "fine", "coarse",
    "isoechoic", "anechoic", "exophytic", "endophytic", "lytic", "sclerotic", "spherical", "elliptical", "symmetric",
    "asymmetric", "symmetrical", "asymmetrical", "verrucous", "calcific", "metallic",
    "focal", "central", "peripheral", "irregular", "regular", "echogenic", "hyperechoic", "hypoechoic", "cystic",
    "linear", "circular", "annular", "nodular", "oval", "visible", "typical", "oblique", "vertical",
    "horizontal", "image", "picture", "view", "frame", "scan", "slice", "field", "background", "centre", "center",
    "lumen",
}  # fmt: skip


def same_in_other_words(sample: Sample, text: str) -> Iterator[Label]:
    """Labels that say of `sample` in the words of `text` what its own labels say."""
    attributes = decode(sample.attributes)
    known = {word.lower() for value in attributes.values() if isinstance(value, str) for word in WORD.findall(value)}
    for label in sample.labels:
        name = label_name(label.name) or ""
        if is_none_of(name) or not name:
            continue
        own = {word.lower() for word in WORD.findall(name)} | known
        initials = {"".join(word[0] for word in part.split()).upper() for part in _parts(name)}
        forms = set(_spellings(name))
        looser = set(_stems(name, text, whole=label.state != "present"))
        if label.state == "present":
            forms |= {*CO_REFERENCE, *_orders(name), *_abbreviations(name)}
            looser |= set(_wider(name, sample.modality))
        forms |= {form for form in looser if not _says_more(form, text, own, initials)}
        yield from (replace(label, name=form) for form in sorted(forms - {name}))


def other_part(sample: Sample, text: str) -> str:
    """A finding of which `text` names another part of the body than every label that names both; or an empty text."""
    attributes = decode(sample.attributes)
    known = {word.lower() for value in attributes.values() if isinstance(value, str) for word in WORD.findall(value)}
    names = [name.lower() for label in sample.labels if (name := label_name(label.name))]
    for match in OF_A_PART.finditer(text):
        noun = match["noun"].lower()
        named = [set(WORD.findall(name)) for name in names if re.search(rf"\b{noun}s?\b", name)]
        if not named or any(not any(map(_is_part, words - {noun})) for words in named):
            continue
        part = match["part"]
        strange = _is_part(part) and part.lower() not in PLAIN | known
        if strange and all(part.lower() not in words and _stem(part) not in map(_stem, words) for words in named):
            return match.group().lower()
    return ""


def _spellings(name: str) -> Iterator[str]:
    """Singular and plural, the other spelling, and a person's name with possessive."""
    forms = {name, name.removesuffix("s"), f"{name}s"}
    for long, short in SPELLINGS:
        forms |= {form.replace(long, short) for form in forms if long in form}
        forms |= {re.sub(rf"\b{short}", long, form) for form in forms}
    for word in WORD.findall(name):
        if is_eponym(word.lower()):
            forms |= {
                re.sub(rf"\b{word}\b(?!['’-])", f"{word}{ending}", form) for form in forms for ending in ("'s", "’s")
            }
    yield from forms


def _wider(name: str, modality: str) -> Iterator[str]:
    """Words for more than the label says."""
    if TUMOUR.search(name):
        yield from ("tumour", "tumor")
    if STONES.search(name):
        yield from ("stone", "stones", "calculus", "calculi")
    if modality in ("CR", "DX") and DENSER.search(name):
        yield from ("opacity", "opacities")


def _orders(name: str) -> Iterator[str]:
    """`skull is intact` for `intact skull`, and what is enlarged where a name says so."""
    words = name.split()
    pairs = [(words[1], words[0])] if len(words) == 2 else []
    pairs += [(part, "enlarged") for part in ENLARGED.get(name.lower(), ())]
    for thing, state in pairs:
        yield f"{state} {thing}"
        yield from (f"{thing} {verb} {state}" for verb in ("is", "are", "appears", "looks"))


def _abbreviations(name: str) -> Iterator[str]:
    """`WPW syndrome` and `DVT`."""
    words = [word for word in WORD.findall(name) if not is_grammar(word.lower())]
    first = "".join(word[0].upper() for word in words)
    if len(first) > 2:
        yield first
        if words[-1].lower() in GENERIC and len(first) > 3:
            yield f"{first[:-1]} {words[-1]}"


def _stem(word: str) -> str:
    short = STEM.sub("", word.lower())
    return short if len(short) >= SHORTEST_STEM else word.lower()


def _stems(name: str, text: str, *, whole: bool) -> Iterator[str]:
    """Words of `text` with the stem of the label's noun; `whole`: only of a label that is that noun alone."""
    noun = WORD.findall(re.split(r" (?:of|with|in|at) ", name)[0])[-1:]
    if not noun or noun[0].lower() in GENERIC or (whole and noun[0] != name):
        return
    for word in {match.group() for match in WORD.finditer(text) if _stem(match.group()) == _stem(noun[0])}:
        if DISEASES.fullmatch(word) or _stem(word) in FINDING_STEMS:
            yield word.lower()


def _says_more(form: str, text: str, own: set[str], initials: set[str]) -> bool:
    """Whether words around `form` give it a part of the body, or a kind, that is none of `own` words of the label."""
    own_stems = {_stem(word) for word in own}

    def strange(word: str) -> bool:
        return word.lower() not in own | PLAIN and word not in initials and _stem(word) not in own_stems

    for match in re.finditer(rf"(?<![\w-]){re.escape(form)}(?![\w-])", text, re.IGNORECASE):
        before = re.search(r"((?:[^\W\d_]+[ -]){1,4})$", text[: match.start()])
        words = WORD.findall(before[1])[::-1] if before is not None else []
        first = next((word for word in words if word.lower() not in own), "")
        if first and strange(first) and not is_grammar(first.lower()) and (not VERB.search(first) or _is_part(first)):
            return True
        after = re.match(r" (?:of|in|within|at|from) (?:an? |the )?([^\W\d_]+)", text[match.end() :])
        thing = re.match(r" ([^\W\d_]+)", text[match.end() :]) if form.endswith("ed") else None
        for word in (found[1] for found in (after, thing) if found is not None):
            known = is_medical(word.lower()) or is_abbreviation(word) or word.lower() in words_of("latin")
            if strange(word) and (known or _is_part(word)):
                return True
    return False


def _is_part(word: str) -> bool:
    """Whether `word` may name the part of the body that a finding lies in: `lung`, `arterial`."""
    return PARTLY.search(word) is not None or word.lower() in PARTS


def _parts(name: str) -> Iterator[str]:
    """All runs of two to four words of a name."""
    words = name.split()
    for start in range(len(words)):
        for end in range(start + 2, min(start + 4, len(words)) + 1):
            yield " ".join(words[start:end])


MORE = ("abscess", "embolism", "herniation", "perforation", "stone", "tear", "thrombosis")
OF_A_PART = re.compile(
    rf"(?<![\w-])(?P<part>[^\W\d_]+) (?P<noun>{'|'.join((*FINDINGS, *MORE))})(?:s|es)?(?![\w-])", re.IGNORECASE
)
FINDING_STEMS = {_stem(word) for word in FINDINGS}
