"""What may be a person's never gets into a caption: dates, numbers, names, and words of the row's own file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

from captioning.engine import Answer
from captioning.identities import identity_in
from captioning.own_words import OwnWords, own_words
from captioning.prompts import Prompt
from shards.intake import Skip
from shards.manifest import Caption, Media, Sample
from shards.reasons import Reason

MakeSample = Callable[..., Sample]
NOBODY = OwnWords()
HERE = Path(__file__).parent
DATES = """12/03/1961|03-12-61|1961-03-12|1961/3/12|12.03.1961|12 March 1961|March 12, 1961|Mar 12 1961|12 Mar 61
12MAR1961|12-Mar-1961|the 12th of March|March 12th|March the twelfth|twelfth of March 1961|May 1961|may 61|in June|1961
on 3 June|summer of 1961|the 1960s|the sixties|'61|nineteen sixty-one|nineteen hundred and sixty-one
two thousand and four|twenty twenty-one|Q3 2019|week 12 of 2019|19610312|610312|12031961|20190312T143207|14:32
14:32:07|2:32 pm|Tuesday|Wed 3rd|last Thursday|yesterday|three days ago|12/61|3/1961|1961.03|2019年3月12日|١٢/٠٣/١٩٦١
XII.III.MCMLXI|12 III 1961|day 12 month 3|1961W12|spring 1961|12 3 61|12 03 1961|1 2 0 3 1 9 6 1|0312|12-03|12/03
58/12|12.58.58|half past two"""
NUMBERS = """MRN 00123456|MRN: 12345|record number 123456|case no. 12345
patient ID 4471|ID 4471|ID: A4471|#4471|No. 4471|accession 12345678|ACC1234567|A-4471-B|AB12CD|H123456|S/N 12345
123-45-6789|943 476 5919|9434765919|room 214|555-1234|(555) 123-4567|+1 555 123 4567|+49 30 123456
five five five one two three four|bed 12|ward 7B|12 Baker Street|zip 02139|age 94|94 years old|94-year-old
ninety-four years old|ninety-four-year-old|a nonagenarian|aged 101|case seventeen|number four four seven one
study 12345|series 4 image 128|IM-0001-0023|1.2.840.113619.2.55.3|IMG_20190312.jpg|12 cm|45%|scan_0412.dcm|00:12:58:AA
192.168.1.12|1,234,567|3.14159|1e5|7.5 mm|forty-five percent|a dozen|4471A|N12|exam 58-12"""
PLACES = (
    "A chest radiograph with the text {it} in the corner.",
    "A chest radiograph, {it}, with dark lungs.",
    "{it} stands above the dark lungs in this chest radiograph.",
    "The chest radiograph shows dark lungs and was made {it}.",
)


@pytest.mark.parametrize(
    "it", [it for text in (DATES, NUMBERS) for line in text.splitlines() for it in line.split("|")]
)
def test_no_date_and_no_number_passes(make_sample: MakeSample, it: str) -> None:
    """Of a row whose metadata give 58 and 12, which are true of its age and its length alone."""
    sample = make_sample("CR", body_part="chest", age=58.0, duration_s=12.0)
    prompt = Prompt(version="p.1", texts={})
    passed = [place for place in PLACES if isinstance(prompt.judge(place.format(it=it), sample), Answer)]
    assert passed == []


def test_numbers_of_the_metadata_pass_in_their_own_words(make_sample: MakeSample) -> None:
    prompt = Prompt(version="p.1", texts={})
    sample = make_sample("ECG", leads=12.0, duration_s=10.0, age=58.0, sex="female")
    for text in (
        "A 12-lead electrocardiogram of 10 seconds.",
        "A 12-lead electrocardiogram of a 58-year-old woman.",
        "The electrocardiogram of a woman aged 58.",
        "Leads V1 to V6 stand below the others.",
    ):
        assert isinstance(prompt.judge(text, sample), Answer), text
    old = make_sample("ECG", age=93.0)
    assert isinstance(prompt.judge("The electrocardiogram of a person aged over 89.", old), Answer)
    assert isinstance(prompt.judge("The electrocardiogram of a 93-year-old person.", old), Skip)
    slide = make_sample("SM", labels=(("grade 2 glioma", "present", "image"),), magnification=20.0)
    assert isinstance(prompt.judge("Histology image of a grade 2 glioma at 20x.", slide), Answer)


# names of persons of many countries; forms in which models and burned-in texts hold them
NAMES = (
    ("John", "Smith"), ("Maria", "Gonzalez"), ("Wei", "Zhang"), ("Aoife", "O'Brien"), ("Mohammed", "Al-Farsi"),
    ("Priya", "Ramanathan"), ("Søren", "Ørsted"), ("Jean-Pierre", "Dubois"), ("Chukwuemeka", "Okonkwo"),
    ("Yuki", "Tanaka"), ("Grace", "Baker"), ("Mark", "Young"), ("Rose", "Hill"), ("Dmitri", "Volkov"),
    ("Lakshmi", "Nair"), ("Zoë", "de Vries"),
)  # fmt: skip
FORMS = (
    "A chest radiograph of {first} {last} with dark lungs.",
    "The radiograph of {last} shows dark lungs.",
    "{first} {last} is shown in this chest radiograph.",
    "{last} underwent a chest radiograph.",
    "{first}'s chest radiograph shows dark lungs.",
    "The dark lungs of Mrs. {last} fill the picture.",
    "The film was read by dr {last_small}.",
    "Text in the corner reads {LAST} {FIRST}.",
    "The film is marked {LAST}, {FIRST[0]}. in white.",
    "The corner reads {LAST}^{FIRST}.",
    "Dark lungs of a patient named {first_small} {last_small}.",
    "a chest radiograph of {first_small} {last_small} with dark lungs",
    "Name: {first} {last}. The lungs are dark.",
    "Radiograph ({first} {last}) with dark lungs.",
    "{first} {last} Chest Radiograph Showing Dark Lungs",
    "{last} shows areas of grey in the lungs.",
    "A film with dark lungs, courtesy of {last_small}.",
)


@pytest.mark.parametrize("form", FORMS)
def test_names_are_found(make_sample: MakeSample, form: str) -> None:
    sample = make_sample("CR")
    missed = []
    for first, last in NAMES:
        small = {"first_small": first.lower(), "last_small": last.lower()}
        text = form.format(first=first, last=last, FIRST=first.upper(), LAST=last.upper(), **small)
        found = identity_in(text, sample, NOBODY)
        assert first not in found
        assert last not in found
        if not found:
            missed.append((first, last))
    assert missed == []


@pytest.mark.parametrize(
    "text",
    [
        "Barrett's oesophagus with Kerley B lines and a Foley catheter.",
        "A Doppler image beside a Gram stain in Hounsfield units.",
        "Schmorl's nodes lie in the endplates, and the circle of Willis is bright.",
        "The Achilles tendon is dark, and the ampulla of Vater is open.",
        "MR image of the brain. The T2 signal is bright at L4-L5.",
        "Axial CT, PET and SPECT images in RGB.",
        "The PA view: Bright ribs cross the lungs.",
        "May show a bright band; White plaques and brown stains are visible.",
        "Giemsa-stained smear with H. pylori and E. coli.",
        "The patient is lying on a hospital bed in a hospital gown.",
        "Wolff-Parkinson-White pattern in lead V2.",
        "Left ventricle, Right atrium and the Z-line.",
        "Axial CT Image Of The Abdomen Showing The Liver And Spleen",
    ],
)
def test_terms_are_no_names(make_sample: MakeSample, text: str) -> None:
    assert (
        identity_in(text, make_sample("CR", labels=(("wolff-parkinson-white pattern", "present", "image"),)), NOBODY)
        == ""
    )


def test_rare_terms_are_seldom_taken_for_names(make_sample: MakeSample) -> None:
    sentences = (HERE / "answers_terms.txt").read_text().splitlines()
    refused = [text for text in sentences if identity_in(text, make_sample("FIG"), NOBODY)]
    print(f"sentences of rare terms refused: {len(refused)} of {len(sentences)}", *refused, sep="\n")
    assert f"| rare terms | {len(sentences)} | {len(refused)} |" in (HERE.parents[1] / "docs/captioning.md").read_text()
    assert len(refused) <= 0.05 * len(sentences)


# surnames that are words of medicine, persons of its terms, makers, and words of English
SURNAMES = ("Barrett", "Crohn", "Paget", "Doppler", "Siemens", "Short", "Bone", "Iris", "Stone", "Gray", "Will", "Page")
SURNAME_FORMS = (
    "The chest of {it} with dark lungs.",
    "{it}'s chest radiograph is dark.",
    "The film of patient {it} with dark lungs.",
    "{it} has dark lungs.",
    "A radiograph ({it}) with dark lungs.",
    "A radiograph by {it} with dark lungs.",
)


@pytest.mark.parametrize("form", SURNAME_FORMS)
def test_a_surname_that_is_a_word_or_a_term_is_found_where_a_person_stands(make_sample: MakeSample, form: str) -> None:
    in_brackets = {"Doppler", "Siemens"} if "(" in form else set()  # a technique may stand there
    missed = [it for it in SURNAMES if not identity_in(form.format(it=it), make_sample("CR"), NOBODY)]
    assert set(missed) == in_brackets


@pytest.mark.parametrize(
    "text",
    [
        "BARRETT in white letters above dark lungs.",
        "Dark lungs, Ł.M., in grey.",
        "The letters B.Ł. above dark lungs.",
        "Dark lungs of İ.B. in grey.",
        "E\u0301.C\u0327. above dark lungs.",
        "Ž. Bilge above dark lungs.",
        "Master C.: dark lungs.",
        "Dark lungs, johansson, in grey.",
        "The lungs are dark, johansson.",
        "The text 'becker' above dark lungs.",
        "A johansson radiograph with dark lungs.",
        "Dark lungs of edward brown.",
        "March: dark lungs.",
        "Ward B: dark lungs.",
        "Dark lungs, see example dot org.",
    ],
)
def test_single_names_initials_and_bare_marks_are_found(make_sample: MakeSample, text: str) -> None:
    assert identity_in(text, make_sample("CR"), NOBODY) != ""


@pytest.mark.parametrize(
    "text",
    [
        "Crypts of Lieberkühn, an ampulla of Vater and a foramen of Monro.",
        "Heberden's and Bouchard's nodes beside Hoffa's fat pad.",
        "A Hickman line, a Foley catheter and Arnold-Chiari malformation.",
        "Spitz or Reed nevus, the Virchow-Robin spaces and Masson trichrome.",
        "LCx, aVR, IVC and bSSFP stand beside BI-RADS and TI-RADS.",
        "T1w, T2-w, Th12, OM1 and CK7 are written in white.",
        "Villi stained with H&E. Malignant glands lie below.",
        "Bone is white. Wall thickening, a field of view and a hand in grey.",
        "Hand radiograph. Doppler shows red flow. Stone with a shadow.",
        "An appliqué form, a naïve T-cell and a façade of cells.",
        "Oesophagogastric, acromioclavicular and tibiofemoral parts with pre-excitation.",
    ],
)
def test_terms_abbreviations_and_accents_are_no_names(make_sample: MakeSample, text: str) -> None:
    assert identity_in(text, make_sample("FIG"), NOBODY) == ""


def test_names_in_labels_and_metadata_are_data(make_sample: MakeSample) -> None:
    text = "The Zorblatt pattern in a picture with Quuxine stain."
    assert identity_in(text, make_sample("SM"), NOBODY) != ""
    known = make_sample("SM", labels=(("Zorblatt pattern", "present", "image"),), stain="Quuxine")
    assert identity_in(text, known, NOBODY) == ""


@pytest.fixture(scope="module")
def of_a_person(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A DICOM file with names in its header, its folder and its own name."""
    path = tmp_path_factory.mktemp("files") / "wojcik_anna" / "Lindqvist.dcm"
    path.parent.mkdir()
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    dataset.PatientName = "Brown^Rose Marie"
    dataset.OtherPatientNames = "Thistlewood^R"
    dataset.ReferringPhysicianName = "Charity^Grace"
    dataset.OperatorsName = "Okonkwo^Chidi"
    dataset.InstitutionName = "Bergmann Klinik"
    dataset.StudyDescription = "CHEST"
    dataset.save_as(path)
    return str(path)


@pytest.mark.parametrize(
    "text",
    [
        "A CT image, thistlewood, with grey tissue.",
        "The okonkwo film is grey.",
        "grey tissue beside chidi",
        "Grey tissue, bergmann, in the middle.",
        "klinik text above grey tissue",
        "rose brown has grey tissue",
        "Grey tissue of brown.",
        "Brown is the grey tissue.",
        "Grey tissue, grace, in the middle.",
        "charity stands below the grey tissue.",
        "Grey tissue beside lindqvist in white.",
        "the wojcik folder with grey tissue",
        "marie lies in the grey machine.",
        "Grey tissue in a picture of thornbury's page.",
        "adeyemi film of grey tissue",
    ],
)
def test_words_of_the_own_header_path_url_and_report_do_not_pass(
    make_sample: MakeSample, of_a_person: str, text: str
) -> None:
    report = Caption(text="Report for Mrs. Adeyemi: the lung is dark.", by="source")
    bare = make_sample("CT", captions=(report,))
    sample = replace(bare, media=Media(uri=of_a_person, kind="dicom", frames=1), url="https://a.org/u/thornbury/1.png")
    verdict = Prompt(version="p.1", texts={}).judge(text, sample)
    assert isinstance(verdict, Skip)
    assert verdict.reason is Reason.ANSWER_IDENTIFIES


def test_words_of_the_language_in_a_header_are_no_names(make_sample: MakeSample, of_a_person: str) -> None:
    sample = replace(make_sample("CT"), media=Media(uri=of_a_person, kind="dicom", frames=1))
    prompt = Prompt(version="p.1", texts={})
    for text in ("Grey tissue with brown and rose-coloured edges.", "A CT image of the chest in grey."):
        assert isinstance(prompt.judge(text, sample), Answer), text


def test_a_header_that_cannot_be_read_is_no_header_without_names(make_sample: MakeSample, tmp_path: Path) -> None:
    prompt = Prompt(version="p.1", texts={})
    gone = replace(make_sample("CT"), media=Media(uri=str(tmp_path / "gone.dcm"), kind="dicom", frames=1))
    with pytest.raises(Skip) as raised:
        prompt.judge("Grey tissue in the middle.", gone)
    assert raised.value.reason is Reason.MISSING_FILE
    (tmp_path / "odd.dcm").write_bytes(b"no file of this kind" * 40)
    odd = replace(make_sample("CT"), media=Media(uri=str(tmp_path / "odd.dcm"), kind="dicom", frames=1))
    with pytest.raises(Skip):
        prompt.judge("Grey tissue in the middle.", odd)


def test_a_header_is_read_once(make_sample: MakeSample, of_a_person: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.dcm"
    copy.write_bytes(Path(of_a_person).read_bytes())
    sample = replace(make_sample("CT"), media=Media(uri=str(copy), kind="dicom", frames=1))
    first = own_words(sample)
    copy.unlink()
    assert own_words(sample) == first
    assert "okonkwo" in first.unknown
