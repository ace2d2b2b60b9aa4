"""Pictures whose content is known, asked about between the others: does the model look at pictures at all?

A server that drops the picture, or hands it to the wrong request, still answers in good English. So a set of known
pictures is asked about before the first of a worker's questions and again every EVERY of them. By default a set is two
drawings, whose colour and shape nobody can guess, and up to three of the unit's own pictures of each modality, which
must be called what their metadata say, without being told. A file of the user's own replaces both; a captioner that
answers no free questions needs one.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image, ImageDraw

from captioning.engine import Ask
from captioning.pictures import shown
from captioning.questions import Question, Reply, Sampling, Shown
from captioning.talk import fault_of
from captioning.truth_metadata import MODALITY_WORDS
from shards.draws import draw
from shards.frames import Frames
from shards.intake import Skip
from shards.reasons import Reason
from shards.stage import Context, UserError
from shards.vocabulary import MODALITIES

EVERY = 256  # questions between two sets
OF_A_MODALITY = 3  # pictures of a set
SIDE_PX = 336
QUOTED = 80  # characters of an answer
COLOURS = {"red": (220, 20, 20), "green": (20, 150, 30), "blue": (20, 40, 220), "yellow": (245, 220, 20)}
SHAPES = ("circle", "square", "triangle")
# what a true answer may name beside a modality: CT is made with X-rays, PET and scintigraphy often together with CT
NAMED_BESIDE = {"CT": {"CR"}, "PT": {"CT", "CR"}, "NM": {"CT", "CR"}, "SURG": {"ES"}, "ES": {"SURG"}}
DRAWN_QUESTION = "What is drawn in this picture? Answer with its colour and its shape."
MODALITY_QUESTION = "What kind of medical picture is this, and with what technique was it made? Answer in one sentence."
SAMPLING = Sampling(max_new_tokens=64)
NOT_HEARD = (Reason.HTTP_FAILED, Reason.CONNECTION_FAILED, Reason.TIMED_OUT, Reason.ANSWER_MALFORMED)
REFUSED = (Reason.HTTP_REFUSED,)  # any other reason is that of a row's own picture, which cannot be shown


@dataclass(frozen=True, kw_only=True)
class Known:
    """A picture and the patterns that a true answer holds, all of them."""

    name: str
    frames: Any  # () -> Frames
    ask: str
    says: tuple[str, ...]
    says_not: tuple[str, ...] = ()
    sure: bool = False  # anyone who sees it knows: one wrong answer is enough
    of_a_row: bool = False  # what is said of it may identify somebody, and is not quoted


class CanaryTalk:
    """One question about a known picture. Its answer is never stored."""

    def __init__(self, known: Known, *, of: int, max_pixels: int, clip_frames: int) -> None:
        self.known = known
        self.of = of  # pictures of its set
        show = partial(_show, known, max_pixels, clip_frames)
        self.question: Question | None = Question(show=show, text=known.ask, sampling=SAMPLING)
        self.right = False
        self.skip: Skip | None = None  # why there is no answer
        self.unseen = False  # the prompt held no picture
        self.instead = ""  # what came in place of a right answer

    def hear(self, reply: Reply | Skip) -> None:
        """Judge the answer."""
        self.question = None
        if isinstance(reply, Skip):
            self.skip = reply
            self.instead = reply.reason.value
            return
        fault = fault_of(reply)
        if fault is not None and not (fault.reason is Reason.ANSWER_CUT and reply.text):
            self.unseen = fault.reason is Reason.PICTURE_NOT_SEEN
            self.instead = fault.reason.value
            return
        text = reply.text or ""  # one that names the picture and goes on until it is cut has named it
        said = all(re.search(pattern, text) for pattern in self.known.says)
        self.right = said and not any(re.search(pattern, text) for pattern in self.known.says_not)
        if not self.right:
            quote = json.dumps(" ".join(text.split())[:QUOTED], ensure_ascii=False)
            words = [fault.reason.value] if fault is not None else []
            self.instead = ", ".join([*words, *([] if self.known.of_a_row else [f"it said {quote}"])])


def _show(known: Known, max_pixels: int, clip_frames: int) -> Shown:
    return shown(known.frames(), max_pixels=max_pixels, clip_frames=clip_frames)


def silence(heard: Sequence[CanaryTalk]) -> str:
    """Why one set tells nothing: the model could not be asked; empty where it could."""
    lost = [talk.skip for talk in heard if talk.skip is not None and talk.skip.reason in NOT_HEARD]
    return f"no answer about known pictures: {lost[0]}" if lost else ""


def verdict(heard: Sequence[CanaryTalk]) -> str:
    """What is wrong with the answers to one set; empty where nothing is, for all that was heard.

    Every sure picture has to be named right, and two in three of the others, of those that could be shown. Where none
    is sure each of the different answers has to be given, since a model that sees nothing has one for all pictures.
    """
    told = [talk for talk in heard if talk.skip is None or talk.skip.reason not in NOT_HEARD]
    missed = [talk for talk in told if talk.known.sure and not talk.right]
    others = [talk for talk in told if not talk.known.sure and (talk.skip is None or talk.skip.reason in REFUSED)]
    wrong = [talk for talk in others if not talk.right]
    if any(talk.unseen for talk in told):
        return "the prompts of known pictures have as many tokens as without them: pictures are dropped on the way"
    is_whole = len(told) == len(heard)  # a share of a few that were heard by chance tells nothing
    named = {talk.known.says for talk in heard if talk.right}
    alike = not any(talk.known.sure for talk in heard) and not named >= {talk.known.says for talk in heard}
    if missed or (is_whole and (alike or 3 * len(wrong) > len(others))):
        failed = [*missed, *wrong] or [talk for talk in heard if not talk.right]
        return f"known pictures that the model did not name: {_listed(failed)}; {len(heard)} were asked about"
    return ""


def _listed(failed: Sequence[CanaryTalk]) -> str:
    """The pictures and what came instead, alike ones once."""
    times = Counter(f"{talk.known.name}{f' ({talk.instead})' if talk.instead else ''}" for talk in failed)
    return ", ".join(f"{number} times {name}" if number > 1 else name for name, number in times.items())


def drawn(number: int) -> list[Known]:
    """Two drawings of different colour and shape, others for each `number`."""
    choice = draw(0, number, "canary")
    colours, shapes = choice.permutation(list(COLOURS))[:2], choice.permutation(list(SHAPES))[:2]
    return [
        Known(
            name=f"a {colour} {shape}",
            frames=partial(_drawing, str(colour), str(shape)),
            ask=DRAWN_QUESTION,
            says=(rf"(?i)\b{colour}\b", rf"(?i)\b{_names(str(shape))}\b"),
            says_not=tuple(rf"(?i)\b{other}\b" for other in COLOURS if other != colour),  # nor all there are
            sure=True,
        )
        for colour, shape in zip(colours, shapes, strict=True)
    ]


def of_rows(asks: Sequence[Ask]) -> list[Known]:
    """Up to OF_A_MODALITY pictures of each modality, spread over the unit, with the words that name it."""
    found = []
    for modality in dict.fromkeys(ask.sample.modality for ask in asks):
        words = tuple(pattern for pattern, fits in MODALITY_WORDS.items() if modality in fits)
        if not words:
            continue
        fitting = {modality, *NAMED_BESIDE.get(modality, ())}
        others = tuple(rf"\b(?:{pattern})\b" for pattern, fits in MODALITY_WORDS.items() if fitting.isdisjoint(fits))
        those = [ask for ask in asks if ask.sample.modality == modality]
        step = max(1, len(those) // OF_A_MODALITY)
        found += [
            Known(
                name=f"{MODALITIES[modality].article} {MODALITIES[modality].name}",
                frames=ask.frames,
                ask=MODALITY_QUESTION,
                says=(rf"\b(?:{'|'.join(words)})\b",),
                says_not=others,
                of_a_row=True,
            )
            for ask in those[::step][:OF_A_MODALITY]
        ]
    return found


def read_canaries(path: str, ctx: Context) -> list[Known]:
    """The user's own: a YAML list of {picture: <file beside the list>, ask: <question>, says: [<pattern>, ...]}.

    Raises UserError where the file is not of this form.
    """
    file = Path(ctx.resolve(path))
    try:
        entries = yaml.safe_load(file.read_bytes())
        known = [
            Known(
                name=str(entry["picture"]),
                frames=partial(Frames, pixels=_read(file.parent / entry["picture"])),
                ask=str(entry["ask"]),
                says=_patterns(entry["says"]),
            )
            for entry in entries
        ]
    except (OSError, yaml.YAMLError, TypeError, ValueError, KeyError, re.error) as error:
        form = json.dumps([{"picture": "a.png", "ask": "What is this?", "says": ["(?i)polyp"]}])
        raise UserError(f"canaries: {file} is no list such as {form}: {error}") from error
    if len({each.says for each in known}) < 2:
        raise UserError(f"canaries: {file} needs pictures with two different answers, since a blind model has one")
    return known


def _patterns(says: Any) -> tuple[str, ...]:
    if not isinstance(says, list) or not says:
        raise TypeError("says: a list of one pattern or more")
    return tuple(re.compile(str(pattern)).pattern for pattern in says)


def _read(path: Path) -> np.ndarray:
    """The pixels, [1, H, W, 3]; read when a worker starts, so that one that is missing is told before all questions."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))[None]


def _drawing(colour: str, shape: str) -> Frames:
    picture = Image.new("RGB", (SIDE_PX, SIDE_PX), "white")
    pen = ImageDraw.Draw(picture)
    low, high = SIDE_PX // 5, SIDE_PX - SIDE_PX // 5
    if shape == "circle":
        pen.ellipse((low, low, high, high), fill=COLOURS[colour])
    elif shape == "square":
        pen.rectangle((low, low, high, high), fill=COLOURS[colour])
    else:
        pen.polygon([(SIDE_PX // 2, low), (low, high), (high, high)], fill=COLOURS[colour])
    return Frames(pixels=np.asarray(picture)[None])


def _names(shape: str) -> str:
    return {"circle": "(?:circle|disc|disk|ball|dot)", "square": "(?:square|rectangle)", "triangle": "triangle"}[shape]
