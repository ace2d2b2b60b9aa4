"""Licences as pages, articles and archives word them."""

from __future__ import annotations

import pytest

from ingest.rights import Rights
from ingest.scrapers.licence_texts import kind_of, licence_of, licence_of_code, licences_in

DEED = "https://creativecommons.org/licenses"
PARTS = {
    "BY": "by",
    "BY-SA": "by-sa",
    "BY-NC": "by-nc",
    "BY-NC-SA": "by-nc-sa",
    "BY-ND": "by-nd",
    "BY-NC-ND": "by-nc-nd",
}
WORDS = {
    "BY": "Attribution",
    "BY-SA": "Attribution-ShareAlike",
    "BY-NC": "Attribution-NonCommercial",
    "BY-NC-SA": "Attribution Non Commercial Share Alike",
    "BY-ND": "Attribution \u2013 NoDerivatives",
    "BY-NC-ND": "Attribution-Noncommercial-No Derivative Works",
}


@pytest.mark.parametrize("version", ["1.0", "2.0", "2.5", "3.0", "4.0"])
@pytest.mark.parametrize("kind", list(PARTS))
def test_every_licence_in_every_form(kind: str, version: str) -> None:
    name = f"CC-{kind}-{version}"
    assert Rights(license=name)
    forms = [
        f"{DEED}/{PARTS[kind]}/{version}",
        f"See <http://creativecommons.org/licenses/{PARTS[kind]}/{version}/legalcode>.",
        f"CC {kind} {version}",
        f"cc-{kind.lower()}-{version}",
        f"CC {kind.replace('-', ' ')} v{version}",
        f"Creative Commons {WORDS[kind]} {version} International License",
        f"the Creative Commons {WORDS[kind]} License, version {version}, which permits",
        f"a Creative Commons {WORDS[kind]} License (CC {kind} {version})",
        f"Creative Commons {WORDS[kind]} License ({DEED}/{PARTS[kind]}/{version}/)",
    ]
    assert {form: licence_of(form) for form in forms} == dict.fromkeys(forms, name)
    assert kind_of(name) == f"CC {kind}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("Creative Commons CC0 1.0 Universal", "CC0-1.0"),
        ("Creative Commons Public Domain Dedication", "CC0-1.0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "LicenseRef-public-domain-mark"),
        ("http://creativecommons.org/licenses/by/3.0/igo/", "CC-BY-3.0-IGO"),
        ("http://creativecommons.org/licenses/by/3.0/us/deed.en", "CC-BY-3.0-US"),
        ("http://creativecommons.org/licenses/by/4.0/deed.de", "CC-BY-4.0"),
        ("http://creativecommons.org/licenses/by-nc-sa/2.0/uk/", "CC-BY-NC-SA-2.0-UK"),
        ("CC BY-NC 3.0 IGO", "CC-BY-NC-3.0-IGO"),
        ("CC BY 4.0 is the licence", "CC-BY-4.0"),
        ("CC BY", "LicenseRef-CC-BY"),
        ("CC BY 3.7", "LicenseRef-CC-BY"),
        ("Creative Commons Attribution Non-Commercial License", "LicenseRef-CC-BY-NC"),
        ("CC BY-NC 4.0 or CC BY 4.0", None),
        ("Creative Commons Attribution (CC BY-NC 4.0)", None),
        ("This work is licensed under a Creative Commons license.", None),
        ("\u00a9 The Authors. All rights reserved.", None),
        ("open access", None),
        ("CC BY-SA-NC 3.0", "CC-BY-NC-SA-3.0"),
        ("CC BY\u2011NC\u2011ND 4.0", "CC-BY-NC-ND-4.0"),
        ("CC\u2011BY\u2013NC 4.0", "CC-BY-NC-4.0"),
        ("Creative Commons Attribution\u2010NonCommercial 4.0 International", "CC-BY-NC-4.0"),
        ("CC BY/NC, CC BY +NC", "LicenseRef-CC-BY-NC"),
        ("CC BY 4.0 NC", "CC-BY-NC-4.0"),
        ("https://creativecommons.org/licenses/by-nc", "LicenseRef-CC-BY-NC"),
        ("CC BY: https://creativecommons.org/licenses/by-nc/", None),
        (f"CC BY-NC, {DEED}/by/4.0/", None),
        ("CC BY 4.0, for non-commercial use only", None),
        ("CC BY 4.0 (not for commercial use)", None),
        ("Creative Commons Attribution (NonCommercial) License", None),
        ("Creative Commons Attribution 4.0 International, no derivatives", None),
        ("CC BY 4.0, for commercial and non-commercial use", "CC-BY-4.0"),
        ("CC BY 4.0, for non-commercial and commercial use", "CC-BY-4.0"),
        (f"{DEED}/by/5.0/", None),
        ("CC BYE", None),
        ("CCTV 0", None),
        ("", None),
    ],
)
def test_other_words(text: str, expected: str | None) -> None:
    assert licence_of(text) == expected


def test_a_waiver_for_the_data_is_not_the_licence_of_the_pictures() -> None:
    text = (
        f"This article is licensed under a Creative Commons Attribution 4.0 International License ({DEED}/by/4.0/). "
        "The Creative Commons Public Domain Dedication waiver (http://creativecommons.org/publicdomain/zero/1.0/) "
        "applies to the data made available in this article, unless otherwise stated."
    )
    assert licence_of(text) == "CC-BY-4.0"
    assert licence_of(text.replace("data made available", "text")) is None


@pytest.mark.parametrize(
    ("code", "stated", "expected"),
    [
        ("CC BY", f"{DEED}/by/4.0/", "CC-BY-4.0"),
        ("CC BY", f"{DEED}/by/2.0", "CC-BY-2.0"),
        ("CC BY", f"{DEED}/by/3.0/igo/", "CC-BY-3.0-IGO"),
        ("CC BY", f"{DEED}/by/4.0/ and {DEED}/by/3.0/", None),
        ("CC BY", f"{DEED}/by/4.0/; https://creativecommons.org/publicdomain/zero/1.0/", "CC-BY-4.0"),
        ("CC BY", "Creative Commons Attribution License", "LicenseRef-CC-BY"),
        ("CC BY", "", "LicenseRef-CC-BY"),
        ("CC BY", f"{DEED}/by-nc/4.0/", None),
        ("CC BY-NC-ND", f"{DEED}/by-nc-nd/4.0/", "CC-BY-NC-ND-4.0"),
        ("CC BY 4.0", "Creative Commons Attribution License", "CC-BY-4.0"),
        ("CC BY 4.0", f"{DEED}/by/3.0/", None),
        ("CC BY", f"{DEED}/by/4.0/, for non-commercial use", None),
        ("CC BY", "CC BY\u2011NC 4.0", None),
        ("CC BY", f"{DEED}/by-nc/4.0/ Creative Commons Attribution License", None),
        ("CC BY", f"{DEED}/by/4.0/ {DEED}/by-nd/4.0/", None),
        ("CC0", "", "CC0-1.0"),
        ("CC0", "https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("CC0", f"{DEED}/by/4.0/", None),
        ("TDM", f"{DEED}/by/4.0/", None),
        ("NO-CC CODE", "", None),
        ("", f"{DEED}/by/4.0/", None),
    ],
)
def test_code_of_an_archive(code: str, stated: str, expected: str | None) -> None:
    assert licence_of_code(code, stated) == expected


def test_kinds() -> None:
    names = ("CC0-1.0", "CC-BY-3.0-IGO", "LicenseRef-CC-BY-NC", "LicenseRef-public-domain-mark", "MIT")
    assert [kind_of(name) for name in names] == ["CC0", "CC BY", "CC BY-NC", "public-domain-mark", "MIT"]


def test_all_that_a_text_names() -> None:
    assert licences_in(f"{DEED}/by/4.0/ {DEED}/by-nc/4.0/ CC BY") == {"CC-BY-4.0", "CC-BY-NC-4.0"}
    assert licences_in(f"{DEED}/by/4.0/ CC BY-SA") == {"CC-BY-4.0", "LicenseRef-CC-BY-SA"}
    assert licences_in("nothing") == set()
