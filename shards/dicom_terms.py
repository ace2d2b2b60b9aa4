"""Defined terms of DICOM for body parts and views, as the plain words that a caption may say.

Body Part Examined and View Position are typed at the scanner like any other text, and what somebody typed may be a
name. So a value is taken where it is a term of the standard or the English for it, and is unknown else. Capitals and
signs apart, a term and its words are one: CSPINE, C-SPINE and cervical spine.
"""

from __future__ import annotations

# PS3.16 Annex L, Table L-1 (human use), "Body Part Examined" with "Code Meaning" in plain words where the term itself
# is no English word. Left out: terms for where a probe lies (ENDORECTAL, PARASTERNAL), and those for any such part
# (ARTERY, VEIN, JOINT, LUMEN). ARM and LEG stood in earlier editions.
_BODY_PARTS = """
3RDVENTRICLE third ventricle; 4THVENTRICLE fourth ventricle; ABDOMEN; ABDOMENPELVIS abdomen and pelvis; ABDOMINALAORTA
abdominal aorta; ACA anterior cerebral artery; ACJOINT acromioclavicular joint; ADRENAL adrenal gland; AMNIOTICFLUID
amniotic fluid; ANKLE; ANTCARDIACV anterior cardiac vein; ANTCOMMA anterior communicating artery; ANTECUBITALV
antecubital vein; ANTSPINALA anterior spinal artery; ANTTIBIALA anterior tibial artery; ANUSRECTUMSIGMD anus, rectum
and sigmoid colon; AORTA; AORTICARCH aortic arch; APPENDIX; ASCAORTA ascending aorta; ASCENDINGCOLON ascending colon;
AXILLA; AXILLARYA axillary artery; AXILLARYV axillary vein; AZYGOSVEIN azygos vein; BACK; BASILARA basilar artery;
BILEDUCT bile duct; BILIARYTRACT biliary tract; BLADDER; BLADDERURETHRA bladder and urethra; BRACHIALA brachial
artery; BRACHIALV brachial vein; BRAIN; BREAST; BRONCHUS; BULB carotid bulb; BUTTOCK; CALCANEUS; CALF; CARDIOVASCSYS
cardiovascular system; CAROTID carotid artery; CCA common carotid artery; CELIACA celiac artery; CEPHALICV cephalic
vein; CEREBELLUM; CEREBHEMISPHERE cerebral hemisphere; CEREBRALA cerebral artery; CERVIX; CFA common femoral artery;
CFV common femoral vein; CHEEK; CHEST; CHESTABDOMEN chest and abdomen; CHESTABDPELVIS chest, abdomen and pelvis;
CHOROIDPLEXUS choroid plexus; CIRCLEOFWILLIS circle of Willis; CLAVICLE; COCCYX; COLON; COMILIACA common iliac artery;
COMILIACV common iliac vein; COMMONBILEDUCT common bile duct; CORNEA; CORONARYARTERY coronary artery; CORONARYSINUS
coronary sinus; CSPINE cervical spine; CTSPINE cervicothoracic spine; CULDESAC rectouterine pouch; DESCAORTA
descending aorta; DESCENDINGCOLON descending colon; DUODENUM; EAC external auditory canal; EAR; ECA external carotid
artery; ELBOW; ENDOMETRIUM; EPIDIDYMIS; EPIGASTRIC epigastric region; ESOPHAGUS; EXTILIACA external iliac artery;
EXTILIACV external iliac vein; EXTJUGV external jugular vein; EXTREMITY; EYE; EYELID; FACE; FACIALA facial artery;
FEMORALA femoral artery; FEMORALV femoral vein; FEMUR; FIBULA; FINGER; FLANK; FONTANEL; FOOT; FOREARM; GALLBLADDER;
GASTRICV gastric vein; GENICULARA genicular artery; GESTSAC gestational sac; GLUTEAL gluteal region; GSV great
saphenous vein; HAND; HEAD; HEADNECK head and neck; HEART; HEPATICA hepatic artery; HEPATICV hepatic vein; HIP;
HUMERUS; HYPOGASTRIC hypogastric region; HYPOPHARYNX; IAC internal auditory canal; ICA internal carotid artery; ILEUM;
ILIACA iliac artery; ILIACV iliac vein; ILIUM; INFMESA inferior mesenteric artery; INFVENACAVA inferior vena cava;
INGUINAL inguinal region; INNOMINATEA innominate artery; INNOMINATEV innominate vein; INTILIACA internal iliac artery;
INTJUGULARV internal jugular vein; INTMAMMARYA internal mammary artery; JAW; JEJUNUM; KIDNEY; KNEE; LACRIMALA lacrimal
artery; LARGEINTESTINE large intestine; LARYNX; LATRIUM left atrium; LATVENTRICLE lateral ventricle; LFEMORALA left
femoral artery; LHEPATICV left hepatic vein; LHYPOCHONDRIAC left hypochondriac region; LINGUALA lingual artery;
LINGUINAL left inguinal region; LIVER; LLQ left lower quadrant of the abdomen; LLUMBAR left lumbar region; LOWERLEG
lower leg; LOWERLIMB lower limb; LOWERTRUNK lower trunk; LPORTALV left portal vein; LPULMONARYA left pulmonary artery;
LSPINE lumbar spine; LSSPINE lumbosacral spine; LSUPPULMONARYV superior left pulmonary vein; LUMBAR lumbar region;
LUMBARA lumbar artery; LUNG; LUQ left upper quadrant of the abdomen; LVENTRICLE left ventricle; MANDIBLE; MASTOID
mastoid bone; MAXILLA; MCA middle cerebral artery; MEDIASTINUM; MESENTRICA mesenteric artery; MESENTRICV mesenteric
vein; MIDHEPATICV middle hepatic vein; MORISONSPOUCH Morison pouch; MOUTH; NASOPHARYNX; NECK; NECKCHEST neck and
chest; NECKCHESTABDOMEN neck, chest and abdomen; NECKCHESTABDPELV neck, chest, abdomen and pelvis; NOSE; OCCIPTALV
occipital vein; OCCPITALA occipital artery; OPHTHALMICA ophthalmic artery; OPTICCANAL optic canal; ORBIT; OVARY;
PANCBILEDUCT pancreatic duct and bile duct systems; PANCREAS; PANCREATICDUCT pancreatic duct; PARATHYROID; PAROTID
parotid gland; PATELLA; PCA posterior cerebral artery; PELVIS; PELVISLOWEXTREMT pelvis and lower extremities; PENILEA
penile artery; PENIS; PERINEUM; PERONEALA peroneal artery; PHANTOM; PHARYNX; PHARYNXLARYNX pharynx and larynx;
PLACENTA; POPLITEALA popliteal artery; POPLITEALFOSSA popliteal fossa; POPLITEALV popliteal vein; PORTALV portal vein;
POSCOMMA posterior communicating artery; POSTIBIALA posterior tibial artery; PROFFEMA profunda femoris artery;
PROFFEMV profunda femoris vein; PROSTATE; PULMONARYA pulmonary artery; PULMONARYV pulmonary vein; RADIALA radial
artery; RADIUS; RADIUSULNA radius and ulna; RATRIUM right atrium; RECTUM; RENALA renal artery; RENALV renal vein;
RETROPERITONEUM; RFEMORALA right femoral artery; RHEPATICV right hepatic vein; RHYPOCHONDRIAC right hypochondriac
region; RIB; RINGUINAL right inguinal region; RLQ right lower quadrant of the abdomen; RLUMBAR right lumbar region;
RPORTALV right portal vein; RPULMONARYA right pulmonary artery; RSUPPULMONARYV superior right pulmonary vein; RUQ
right upper quadrant of the abdomen; RVENTRICLE right ventricle; SAPHENOUSV saphenous vein; SCALP; SCAPULA; SCJOINT
sternoclavicular joint; SCLERA; SCROTUM; SELLA sella turcica; SEMVESICLE seminal vesicle; SESAMOID sesamoid bones of
the foot; SFA superficial femoral artery; SFJ saphenofemoral junction; SFV superficial femoral vein; SHOULDER; SIGMOID
sigmoid colon; SIJOINT sacroiliac joint; SKULL; SMA superior mesenteric artery; SMALLINTESTINE small intestine;
SPINALCORD spinal cord; SPINE; SPLEEN; SPLENICA splenic artery; SPLENICV splenic vein; SSPINE sacrum; STERNUM;
STOMACH; SUBCLAVIANA subclavian artery; SUBCLAVIANV subclavian vein; SUBMANDIBULAR submandibular gland;
SUPRACLAVICULAR supraclavicular region; SUPRAPUBIC suprapubic region; SUPTHYROIDA superior thyroid artery; SVC
superior vena cava; TESTIS; THALAMUS; THIGH; THORACICAORTA thoracic aorta; THORAX chest; THUMB; THYMUS; THYROID;
TIBIA; TIBIAFIBULA tibia and fibula; TLSPINE thoracolumbar spine; TMJ temporomandibular joint; TOE; TONGUE; TRACHEA;
TRACHEABRONCHUS trachea and bronchus; TRANSVERSECOLON transverse colon; TRUNK; TSPINE thoracic spine; ULNA; ULNARA
ulnar artery; UMBILICAL umbilical region; UMBILICALA umbilical artery; UMBILICALV umbilical vein; UPPERARM upper arm;
UPPERLIMB upper limb; UPPERTRUNK upper trunk; UPRURINARYTRACT upper urinary tract; URETER; URETHRA; UTERUS; VAGINA;
VERTEBRALA vertebral artery; VULVA; WHOLEBODY whole body; WRIST; ZYGOMA; ARM; LEG
"""
_MEANINGS = {  # code meanings of the table whose plain words above are others
    "ankle joint": "ankle", "calf of leg": "calf", "elbow joint": "elbow", "entire body": "whole body",
    "fontanel of skull": "fontanel", "hip joint": "hip", "jaw region": "jaw", "morisons pouch": "Morison pouch",
    "orbital structure": "orbit", "wrist joint": "wrist", "supraclavicular region of neck": "supraclavicular region",
    "left lower quadrant of abdomen": "left lower quadrant of the abdomen",
    "left upper quadrant of abdomen": "left upper quadrant of the abdomen",
    "right lower quadrant of abdomen": "right lower quadrant of the abdomen",
    "right upper quadrant of abdomen": "right upper quadrant of the abdomen",
    "sesamoid bones of foot": "sesamoid bones of the foot",
}  # fmt: skip
_VIEWS = {
    # View Position (0018,5101), defined terms of PS3.3 C.8.1.1, and the meanings of PS3.16 CID 4010
    "AP": "AP", "PA": "PA", "LL": "left lateral", "RL": "right lateral", "RLD": "right lateral decubitus",
    "LLD": "left lateral decubitus", "RLO": "right lateral oblique", "LLO": "left lateral oblique",
    "anteroposterior": "AP", "posteroanterior": "PA", "left lateral": "left lateral", "right lateral": "right lateral",
    "left lateral decubitus": "left lateral decubitus", "right lateral decubitus": "right lateral decubitus",
    "left lateral oblique": "left lateral oblique", "right lateral oblique": "right lateral oblique",
    # mammography: PS3.16 CID 4014 with the abbreviations of ACR MQCM 1999
    "ML": "ML", "MLO": "MLO", "LM": "LM", "LMO": "LMO", "CC": "CC", "FB": "FB", "SIO": "SIO", "ISO": "ISO",
    "XCC": "XCC", "XCCL": "XCCL", "XCCM": "XCCM", "mediolateral": "ML", "mediolateral oblique": "MLO",
    "lateromedial": "LM", "lateromedial oblique": "LMO", "craniocaudal": "CC", "caudocranial": "FB",
    # what scanners write besides
    "LAT": "lateral", "lateral": "lateral", "LLAT": "left lateral", "RLAT": "right lateral", "OBL": "oblique",
    "oblique": "oblique", "frontal": "frontal", "axial": "axial", "tangential": "tangential",
    "decubitus": "decubitus", "lordotic": "lordotic", "AP axial": "AP axial", "axillary": "axillary",
    "swimmers": "swimmers", "sunrise": "sunrise", "skyline": "skyline", "frog leg": "frog-leg",
}  # fmt: skip


def _plain(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def _read_table() -> dict[str, str]:
    found = {_plain(meaning): words for meaning, words in _MEANINGS.items()}
    for row in " ".join(_BODY_PARTS.split()).split("; "):
        code, _, words = row.partition(" ")
        found[_plain(code)] = found[_plain(words or code)] = words or code.lower()
    return found


BODY_PARTS = _read_table()  # letters and digits of a term or its words -> words
VIEWS = {_plain(term): words for term, words in _VIEWS.items()}


def body_part(value: str | None) -> str | None:
    """A value of Body Part Examined in plain words; None where the standard does not know it."""
    return BODY_PARTS.get(_plain(value or ""))


def view(value: str | None) -> str | None:
    """A value of View Position as a caption says it; None where it is no known view."""
    return VIEWS.get(_plain(value or "").removesuffix("view"))
