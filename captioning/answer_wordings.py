"""How a model words sides, degrees, sizes, comparisons, counts, readings and diseases, and what only looks like them.

The patterns of captioning/answer_truth.py: what is looked for, and names of parts and descriptions of the picture that
hold the same words and say nothing of the kind. They err towards finding too much.
"""

from __future__ import annotations

import re


def _either(*alternatives: str) -> str:
    return f"(?:{'|'.join(alternatives)})"


def _whole(*alternatives: str) -> re.Pattern[str]:
    return re.compile(rf"\b{_either(*alternatives)}\b", re.IGNORECASE)


_SIDE = "(?:left|right)"
_BIT = "(?:side|half|third|quarter|quadrant|part|portion|edge|border|corner|margin|area|region)"
_PLACE = _either(
    "image|images|frame|picture|photograph|photo|screen|panel|scan|slice|section|micrograph|radiograph|film|plot|trace",
    "view|field(?: of view)?|visual field|tracing|spectrogram|sheet|foreground|background",
    _BIT,
)
_BODY = "(?:lobe|lung|zone|limb|extremity|quadrant|abdom|arm|leg|eye|breast|chest|thorax|rib|pole|hemi)"
SEEN_PLACES = _whole(  # of the picture, not of a person
    rf"(?:(?:upper|lower|top|bottom|middle|central|far|centre|center)[ -])?{_SIDE}(?:most|[ -]most|-hand)?"
    rf"(?:[ -](?:upper|lower|top|bottom|central))?(?:[ -]{_BIT})*\s+(?:{_BIT}\s+)?of (?:the|this) {_PLACE}",
    rf"(?:upper|lower|top|bottom|far)[ -]{_SIDE}\b(?! {_BODY})",
    rf"{_SIDE}[ -](?:hand )?(?:corner|edge|border|half) of the (?:image|frame|picture)",
    rf"the {_SIDE}(?:[ -]hand)? (?:corner|edge)\b(?! of)",
    r"(?:left to right|right to left|left-to-right|right-to-left|right[ -]angle[sd]?)",
    r"left (?:to|and) right of the (?:image|frame)",
    r"(?:has|have|is|are) (?:been )?left (?:open|behind|blank|empty|in place)",
    r"both(?=[^.,;]{1,60}\band\b)",
    r"both sides of the (?:image|frame|picture)",
    r"both (?:lungs?|lung (?:fields|bases|apices)|kidneys|hemispheres|eyes|ventricles|hemidiaphragms|clavicles)",
    r"both (?:panels|images|frames|ends|edges|margins|borders|surfaces|layers|walls|instruments|poles|halves|rows)",
    r"both (?:axes|directions|dimensions)",
    r"both (?:curves|traces)",
)
_LINE = "(?:outline|border|boundary|margin|edge|image|picture|view|contour)s?"
ANATOMY = _whole(  # words of planes, techniques and normality inside names of parts and things
    r"(?:transverse|oblique|axial|sagittal|coronal) (?:colon|process(?:es)?|folds?|fissures?|sinus(?:es)?|sutures?)",
    r"(?:transverse|oblique|axial|sagittal|coronal) (?:muscles?|ridges?|mesocolon|ligaments?|bands?|lines?|lighting)",
    r"(?:transverse|oblique|axial|sagittal|coronal) (?:angle|light|illumination|length|skeleton|cut)",
    r"(?:surgical|operative) (?:clips?|instruments?|field|staples?|sutures?|site|drapes?|tools?|gloves?|gauze|sponge)",
    r"(?:surgical|operative) (?:hardware|material|smoke|margins?)",
    r"(?:gastric|uterine|gallbladder|stomach|of the) fundus|fundus of",
    r"with contrast (?:between|to|against)|microscop\w+ (?:view|detail|field|level)",
    r"(?:ECG|EKG) (?:leads?|electrodes?|cables?|wires?)",
    r"clear(?:er)? (?:\w+ )?(?:borders?|boundar(?:y|ies)|margins?|demarcation|separation|distinction|zones?)",
    r"clear(?:er)? (?:\w+ )?(?:visuali[sz]ation|visibility|fluid|liquid|spaces?|areas?|outlines?|contours?)",
    r"clear(?:er)? (?:\w+ )?(?:edges?|gel|plastic|bubbles?|droplets?|mucus|detail|differentiation|cells?|cytoplasm)",
    r"clear(?:er)? (?:\w+ )?(?:views?|background|interface|resolution|focus|picture|image|lines?|contrast|spots?)",
    rf"{_LINE}\b[^.,;]{{0,60}} (?:is|are|appears?|remains?) (?:clear|intact)",
    r"normal to|stroke (?:width|volume)|mass(?:es)? of (?:hair|debris|fibers|fibres|cells)",
    r"(?:PR|QT|RR) interval",
)
NUMBERED_TERMS = _whole(r"Ki-?67|[23]-?D|[23]-dimensional|[CTLS]\d{1,2}[-–/]\d")
SIDES = _whole(
    r"bilateral(?:ly)?|unilateral(?:ly)?|(?:ipsi|contra)lateral(?:ly)?|(?:dextro|levo)\w+|biapical|bibasal|bibasilar"
)
DEGREES = _whole(
    r"(?:mild|moderate|severe|marked|significant|extensive|massive|minimal|subtle|advanced|acute|subacute)(?:ly)?",
    r"(?:chronic|profound|considerable|substantial)(?:ly)?|(?:early|end|late)[- ]stage|trace amounts?",
    r"(?:low|high|intermediate)[- ]grade|grades? (?:of )?(?:[ivx]+|[a-d]|\d|one|two|three|four|five)",
    r"(?:stage|type|class|category|score|level) (?:[ivx]+[a-c]?|[a-d]|\d\w?|one|two|three|four|five)\b(?! of)",
    r"(?:bi|ti|pi|lung)-?rads|gleason|mayo|forrest|paris|los angeles|boston|kellgren|fitzpatrick",
)
SIZES = _whole(
    r"(?:large|big|huge|giant|tiny|small|bulky|sizeable|sizable|enormous|minute|diminutive)(?:[- ]sized)?",
    r"(?:medium|moderate)[- ]sized?|enlarge[ds]?|enlargement|dilat(?:ed|ion|ation)|oversized|undersized|swollen",
    r"atroph\w+|hypertroph\w+|millimet(?:er|re)s?|centimet(?:er|re)s?|microns?|micromet(?:er|re)s?|measur(?:es|ing)",
    r"in diameter|inch(?:es)?|pea[- ]sized|(?:half|twice) the size|times the size",
)
SIZED_NAMES = _whole(
    r"(?:large|small) (?:bowel|intestines?|airways?|cells?|saphenous|molar)|(?:lesser|greater) \w+",
    r"(?:large|small) (?:dots?|spots? of light|air bubbles|bubbles?|droplets?|hairs?|squares?|boxes|rulers?|markers?)",
    r"millimet(?:er|re)s? paper",
    r"(?:large|small) (?:patch(?:es)? of (?:glare|light)|reflections?|highlights?|letters|globules)",
)
_EARLIER = "(?:prior|previous|earlier|last|baseline|old|other|healthy|past|initial|preceding)"
COMPARISONS = _whole(
    r"than (?:before|previous\w*|prior|earlier|last|on the (?:previous|prior|last|earlier)|it was|they were)",
    r"than (?:usual|expected|normal)",
    rf"(?:compared|comparison|relative|similar|in contrast) (?:to|with) (?:the |a |an )?{_EARLIER}",
    r"unchanged|worsen\w*|worse|improv\w+|progress(?:ed|ion|ive|ively|ing)|regress(?:ed|ing)|resolv(?:ed|ing)",
    r"persist\w*|recurr\w+|interval|stable|stability|newly|previous(?:ly)?|prior|no longer|since the",
    r"again (?:seen|noted|demonstrated|visible)|still (?:seen|present|visible)|follow[- ]?up|post-?operative\w*",
    r"over time|(?:from|to|since) baseline|baseline (?:study|scan|image|exam\w*)",
    r"(?:has|have) (?:grown|shrunk|increased|decreased)|(?:days?|weeks?|months?|years?) (?:ago|later)",
    r"yesterday|last (?:week|month|year)|earlier (?:study|scan|image|examination)",
)
COUNTS = _whole(
    r"two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|pair of|couple of|single|solitary|sole",
    r"twice|triple|double",
)
COUNTED_NAMES = _whole(
    r"(?:single|double)[- ](?:layer\w*|frame|lead|colou?r\w*|image|picture|view|plane|slice|field|hue|contrast|lumen)",
    r"(?:single|double)[- ](?:line|row|shade|tone|continuous|uniform|structure|strand|file)",
    r"(?:two|three)[- ]dimensional|(?:two|three|four|five)[- ]chamber|two[- ]toned?",
    r"(?:on|from|of|in) (?:the )?two (?:sides|halves|ends)",
)
READINGS = _whole(
    r"consistent with|compatible with|suggest(?:s|ive|ing|ed)?(?: of)?|indicat(?:es?|ive|ing)(?: of)?|in keeping with",
    r"concerning for|suspicious|suspected|worrisome|diagnos\w+|pathognomonic|characteristic of|typical (?:of|for)",
    r"hallmark|impl(?:y|ies|ying)|represent(?:s|ing)? an?|likely|probabl[ey]|possibl[ey]|might|rule[sd]? out",
    r"(?:may|could) (?:be|represent|reflect|indicate)|ruling out|differential|prognos\w+|treatment|therapy",
    r"recommend\w*|biopsy (?:is|should)|requires?|warrants?",
)
_ENDINGS = _either(
    "itis|itides|omata|opath(?:y|ies)|osclerosis|ectasis|ectasia|openia|aemia|emia|algia|megaly|dysplasia|neoplasia",
    "steatosis|stenos[ie]s|cirrhosis|necrosis|thrombosis|embolism|ischa?emi[ac]|dystrophy",
)
DISEASES = _whole(
    rf"\w{{3,}}{_ENDINGS}",
    r"(?!(?:stoma|coma|soma|stroma|aroma|trichroma|chroma|diploma)s?\b)\w{3,}omas?",
    r"(?!(?:anastom|mit|mei|apopt|lord|osm|symbi|hypn|metamorph)os[ie]s)\w{3,}os[ie]s",
    r"tubercul\w+|neoplas\w+|metasta\w+|dyspla\w+|hyperpla\w+|infect\w+|inflamm?\w*|disease[sd]?|disorders?|syndrome",
    r"cancerous|premalignant|precancerous|abnormal\w*|patholog(?:y|ies|ical)|anomal\w+|abscess(?:es)?|herniat\w+",
    r"infarct\w*|haematomas?|hematomas?|drusen|exudates?|microaneurysms?|arrhythmia|tachycardia|bradycardia",
    r"fibrillation|ectop\w+|block|crackles?|wheez\w+|cavitation|perforation|obstruction|rupture[ds]?|dislocat\w+",
    r"opacit(?:y|ies)|infiltrat(?:e|es|ion|ions)|calculi|calculus|gallstones?|collapse[ds]?|subluxat\w+|degenerat\w+|covid\S*|sepsis|bleeds|varices|varix|haemorrhoids?|hemorrhoids?",
    r"hypertensi(?:on|ve)|diabet(?:es|ic)|dementia|hydroceph\w+|asthma\w*|COPD|(?:heart|renal|kidney|liver) failure",
    r"psoria\w+|eczema\w*|acne|warts?|verruca\w*|fistulas?|fistulae|macular holes?|cotton[- ]wool spots?|midline shift",
    r"(?:retinal|vitreous|placental) detachments?|white matter hyperintensit(?:y|ies)",
)
PLAIN_WORDS = _whole(  # that end like a disease, or say it of a procedure or of the picture
    r"mediastinum|pathology (?:image|slide|specimen)s?|histopatholog\w+|microscop\w+|no active bleeding|block of",
    r"blocks? (?:the )?light|paraffin block|tissue block|inflamm?able|inflat\w+",
)
