"""What the checks of a model's answers let through: persons' names, dates and record numbers, and harmless captions.

    python benchmarks/identities.py [--seed 0]

Needs the package `faker` beside medloom, which lists names: pip install faker

Three figures of the prompt `general`, with identities.yaml and identities_harmless.yaml. (1) 200 names of 20 languages,
romanised where their script is another, ten of each, drawn by the seed; each of ten forms of sentence takes one of
every language. (2) 100 dates, times, numbers, addresses and ages over 89, none of which should pass. (3) 200 captions
without a person, about 40 samples whose labels cover them, none of which should be refused.

A sentence tells about a name or a number only if it passes without it: those that do not are counted apart and belong
to no share. A refusal counts whatever its reason, since the text is gone; beside it stands the share refused as
identifying. All that went wrong is printed with its reason.
"""

from __future__ import annotations

import argparse
import itertools
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from faker import Faker

from captioning.prompts import Prompt, read_prompt
from shards.attributes import encode
from shards.intake import Skip
from shards.manifest import Label, Media, Sample
from shards.stage import Context

HERE = Path(__file__).parent
LOCALES = (
    "en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "pt_BR", "pl_PL", "nl_NL", "tr_TR",
    "sv_SE", "hu_HU", "hr_HR", "en_IN", "id_ID", "ja_JP", "zh_CN", "fr_DZ", "yo_NG", "zu_ZA",
)  # fmt: skip
CHOICE = re.compile(r"<([^|]*)\|([^>]*)>")  # words with what identifies, words without
PASSED = "passed"
IDENTIFIES = "answer_identifies"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One sentence with what identifies, the same without it, and what became of both."""

    group: str  # form of sentence or kind of number
    about: str  # language of the name or the number itself
    text: str
    verdict: str  # PASSED or the code of the reason
    bare: str  # the verdict of the sentence without it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed
    data = yaml.safe_load((HERE / "identities.yaml").read_text(encoding="utf-8"))
    blocks = yaml.safe_load((HERE / "identities_harmless.yaml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        prompt = read_prompt("general", Context(root=place, out=place, tmp=place, folder=place))
    tell("names", list(judge_names(prompt, data, seed)), by_language=True)
    tell("dates and numbers", list(judge_marks(prompt, data)), by_language=False)
    tell_harmless(prompt, blocks)


def sample(modality: str, labels: list[str], **known: Any) -> Sample:
    """A still whose labels hold for itself."""
    return Sample(
        key="bench-1",
        media=Media(uri="/no/such/file", kind="image", frames=1),
        modality=modality,
        specialty="radiology",
        group="image:1",
        label_scope="image",
        source="bench",
        license="CC0-1.0",
        labels=tuple(Label(name=name, state="present", scope="image", origin="expert") for name in labels),
        attributes=encode(known),
    )


def names(locale: str, count: int, seed: int) -> list[tuple[str, str]]:
    """`count` pairs of first and last name of a language in Latin letters; the same for the same seed."""
    source: Any = Faker(locale)
    source.seed_instance(f"{seed} {locale}")
    if hasattr(source, "first_romanized_name"):
        return [(source.first_romanized_name(), source.last_romanized_name()) for _ in range(count)]
    return [(source.first_name(), source.last_name()) for _ in range(count)]


def spellings(first: str, last: str) -> dict[str, str]:
    """What a sentence's name fields stand for."""
    full = f"{first} {last}"
    return {
        "first": first,
        "last": last,
        "full": full,
        "i": first[0],
        "l": last[0].upper(),
        "FIRST": first.upper(),
        "LAST": last.upper(),
        "FULL": full.upper(),
        "lower": full.lower(),
    }


def judge_names(prompt: Prompt, data: dict[str, Any], seed: int) -> Iterator[Case]:
    """Each language's names, one in each form, in the sentence of one modality after the other."""
    people = {locale: names(locale, len(data["forms"]), seed) for locale in LOCALES}
    samples = {code: sample(code, **known) for code, known in data["samples"].items()}
    for place, (form, sentences) in enumerate(data["forms"].items()):
        languages = list(LOCALES)
        random.Random(f"{seed} {form}").shuffle(languages)
        for code, locale in zip(itertools.cycle(sentences), languages):
            text = CHOICE.sub(r"\1", sentences[code]).format_map(spellings(*people[locale][place]))
            bare = CHOICE.sub(r"\2", sentences[code])
            yield Case(
                group=form,
                about=locale,
                text=text,
                verdict=verdict(prompt, text, samples[code])[0],
                bare=verdict(prompt, bare, samples[code])[0],
            )


def judge_marks(prompt: Prompt, data: dict[str, Any]) -> Iterator[Case]:
    """Each number in the sentence of one modality after the other, of a sample of a person over 89."""
    marks = [(kind, mark) for kind, listed in data["marks"].items() for mark in listed]
    for code, (kind, mark) in zip(itertools.cycle(data["carriers"]), marks):
        old = sample(code, **data["samples"][code], age="over 89")
        text, bare = (data["carriers"][code].format(mark=words) for words in (mark, ""))
        yield Case(
            group=kind,
            about=mark.strip(" ,"),
            text=text,
            verdict=verdict(prompt, text, old)[0],
            bare=verdict(prompt, bare, old)[0],
        )


def verdict(prompt: Prompt, text: str, about: Sample) -> tuple[str, str]:
    """PASSED or the code of the reason, and the reason's detail."""
    answer = prompt.judge(text, about)
    return (answer.reason.value, answer.detail) if isinstance(answer, Skip) else (PASSED, "")


def tell(what: str, cases: list[Case], *, by_language: bool) -> None:
    """Print the shares refused, overall and by group, then what passed or was refused for another reason."""
    told = [case for case in cases if case.bare == PASSED]
    print(f"{what}: {len(cases)}, of which {len(cases) - len(told)} tell nothing, refused without it as well")
    tell_share("all", told)
    for group in dict.fromkeys(case.group for case in cases):
        tell_share(group, [case for case in told if case.group == group])
    for locale in LOCALES if by_language else ():
        tell_share(locale, [case for case in told if case.about == locale])
    for case in cases:
        if case.bare != PASSED:
            print(f"  tells nothing ({case.bare}): {case.group}: {case.text}")
        elif case.verdict != IDENTIFIES:
            print(f"  {case.verdict}: {case.group}: {case.about}: {case.text}")


def tell_share(group: str, cases: list[Case]) -> None:
    refused = sum(case.verdict != PASSED for case in cases)
    identifying = sum(case.verdict == IDENTIFIES for case in cases)
    share = refused / len(cases) if cases else float("nan")
    print(f"  {group:22} {refused:4} of {len(cases):4} refused ({share:6.1%}), {identifying} as identifying")


def tell_harmless(prompt: Prompt, blocks: list[dict[str, Any]]) -> None:
    """Print how many of the harmless captions are refused, by reason, and each with its detail."""
    lines = [(sample(**block["sample"]), caption) for block in blocks for caption in block["captions"]]
    judged = [(about, caption, *verdict(prompt, caption, about)) for about, caption in lines]
    refused = [row for row in judged if row[2] != PASSED]
    print(f"harmless captions: {len(refused)} of {len(judged)} refused ({len(refused) / len(judged):.1%})")
    for reason, count in Counter(row[2] for row in refused).most_common():
        print(f"  {reason:22} {count:4}")
    for about, caption, reason, detail in refused:
        print(f"  {reason} ({detail}): {about.modality}: {caption}")


if __name__ == "__main__":
    main()
