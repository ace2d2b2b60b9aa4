"""A vision-language model on this machine: answers questions in batches, on the GPU where there is one.

While the model generates, a thread decodes and prepares the pictures of the next batch. Rows are padded on the left and
masked, so a row's answer does not depend on those beside it but for rounding: sums are taken in another order in
another batch, which in bfloat16 may turn a near tie. Decoding is greedy or drawn as the question says and nothing else:
penalties and temperatures that a checkpoint recommends are not applied, since they look at padding and prompt as well.
"""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import torch
import transformers
from PIL import Image
from torch import Tensor

from captioning.hub_chat import Chat
from captioning.hub_engine import HubEngine
from captioning.hub_files import fetch
from captioning.hub_processor import load_processor
from captioning.hub_sampling import Draws, Limits
from captioning.hub_weights import dtype_of, load_weights
from captioning.questions import Question, Reply, Talk
from captioning.talk import THINKING
from captioning.talk_line import TalkLine
from shards.foreign import foreign
from shards.intake import Skip
from shards.reasons import Reason
from shards.stage import Context, UserError

LOG = logging.getLogger(__name__)
ROOM = 8  # batches in the line
NO_THOUGHT = re.compile(r"\A\s*(?:<think>\s*</think>|<\|channel>thought\s*<channel\|>)\s*")  # thinking that was off


@dataclass(kw_only=True)
class Row:
    """A talk in a batch: its question as the model takes it."""

    talk: Talk
    question: Question
    prompt: str
    pictures: list[Image.Image]


@dataclass(kw_only=True)
class Batch:
    """Rows that go through the model together, and talks that cannot."""

    rows: list[Row] = field(default_factory=list)
    inputs: Mapping[str, Tensor] = field(default_factory=dict)  # on the CPU; of `rows`, in their order
    skipped: list[tuple[Talk, Reply | Skip]] = field(default_factory=list)  # with what they hear


def load_model(options: HubEngine, ctx: Context) -> HubModel:
    """The model, its processor and its chat template. Raises UserError for one that cannot be asked about pictures."""
    folder, found = fetch(options, ctx)
    processor = load_processor(folder, trust_remote_code=options.trust_remote_code)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = dtype_of(options.dtype, device)
    model = load_weights(folder, dtype, trust_remote_code=options.trust_remote_code).to(device).eval()
    name = {"model": options.name(), "revision": found, "dtype": str(dtype).removeprefix("torch.")}
    return HubModel(model, processor, Chat(processor, options.name()), facts=name, batch=options.batch, ctx=ctx)


class HubModel:
    """A loaded model. `facts` do not hold the version of transformers: an answer that was paid for stays one of this
    model, though another version may resize pictures or round a little differently.
    """

    def __init__(
        self, model: Any, processor: Any, chat: Chat, *, facts: Mapping[str, str], batch: int, ctx: Context
    ) -> None:
        self.model = model
        self.processor = processor
        self.chat = chat
        self.facts = facts
        self.batch = batch  # rows at once; halved when the device runs out of memory
        self.ctx = ctx
        self.picture_token = _picture_token(model, processor)
        self.reads = getattr(model.config.get_text_config(), "max_position_embeddings", None)  # tokens
        self.rules = _rules(model, processor.tokenizer)
        self.tokenizing = Lock()  # a tokenizer is for one thread at a time

    def answer(self, talks: Iterable[Talk]) -> Generator[Talk, None, None]:
        """Each of `talks`, finished, in their order."""
        line = TalkLine(talks, room=ROOM * self.batch)
        ready: Future[Batch] | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="pictures") as pool:
            while not line.over or ready is not None:
                taken = line.take(self.batch)
                coming = pool.submit(self._prepare, taken) if taken else None
                if ready is not None:
                    batch = ready.result()
                    self._reply(batch)
                    line.back([row.talk for row in batch.rows])
                    line.back([talk for talk, _ in batch.skipped])
                ready = coming
                yield from line.finished()

    def _reply(self, batch: Batch) -> None:
        for talk, told in batch.skipped:
            talk.hear(told)
        for row, reply in zip(batch.rows, self._replies(batch), strict=True):
            row.talk.hear(reply)

    def _prepare(self, talks: Sequence[Talk]) -> Batch:
        """Decode and process the pictures of `talks`."""
        rows: list[Row] = []
        skipped: list[tuple[Talk, Reply | Skip]] = []
        for talk in talks:
            question = talk.question
            assert question is not None
            try:
                shown = question.show()
            except Skip as skip:
                skipped.append((talk, skip))
                continue
            pictures = [Image.fromarray(picture) for picture in shown.pictures]
            prompt = self.chat.text(question, len(pictures), shown.times_s)
            rows.append(Row(talk=talk, question=question, prompt=prompt, pictures=pictures))
        batch = self._processed(rows)
        batch.skipped = [*skipped, *batch.skipped]
        return batch

    def _processed(self, rows: list[Row]) -> Batch:
        """`rows` as the model's inputs, without those that it cannot take."""
        if not rows:
            return Batch()
        try:
            inputs = self._inputs(rows)
        except Skip as skip:
            if len(rows) == 1:
                return Batch(skipped=[(rows[0].talk, skip)])
            each = [self._processed([row]) for row in rows]
            rest = self._processed([row for batch in each for row in batch.rows])
            return Batch(rows=rest.rows, inputs=rest.inputs, skipped=[pair for batch in each for pair in batch.skipped])
        faults = [self._fault(row, *pair) for row, pair in zip(rows, self._counts(inputs), strict=True)]
        if not any(faults):
            return Batch(rows=rows, inputs=inputs)
        kept = self._processed([row for row, fault in zip(rows, faults, strict=True) if fault is None])
        kept.skipped += [(row.talk, fault) for row, fault in zip(rows, faults, strict=True) if fault is not None]
        return kept

    def _fault(self, row: Row, tokens: int, picture_tokens: int) -> Reply | Skip | None:
        """What the talk of a row hears that the model cannot be asked."""
        if picture_tokens == 0:
            return Reply(text=None, finish="stop", picture_tokens=0)
        asked = tokens + row.question.sampling.max_new_tokens
        if self.reads is not None and asked > self.reads:
            return Skip(Reason.QUESTION_TOO_LONG, f"{asked} tokens of {self.reads}")
        return None

    def _counts(self, inputs: Mapping[str, Tensor]) -> list[tuple[int, int]]:
        """Tokens of each row, and those that stand for pictures."""
        seen = inputs["input_ids"] == self.picture_token
        return list(zip(inputs["attention_mask"].sum(dim=1).tolist(), seen.sum(dim=1).tolist(), strict=True))

    def _inputs(self, rows: Sequence[Row]) -> Mapping[str, Tensor]:
        """Raises Skip where the processor does not take the pictures, such as one of a single row of pixels."""
        prompts = [row.prompt for row in rows]
        start = self.processor.tokenizer.bos_token
        with self.tokenizing, foreign(Reason.PICTURE_NOT_TAKEN):
            inputs: Mapping[str, Tensor] = self.processor(
                text=prompts,
                images=[row.pictures for row in rows],
                padding=True,
                return_tensors="pt",
                add_special_tokens=not (start and prompts[0].startswith(start)),
            )
        return inputs

    def _replies(self, batch: Batch) -> list[Reply | Skip]:
        """Of the batch's rows in their order; in smaller batches where the device has no room for it."""
        rows = batch.rows
        if not rows:
            return []
        if len(rows) <= self.batch:
            try:
                return self._generated(batch)
            except torch.OutOfMemoryError:
                if len(rows) == 1:
                    detail = "no memory for it alone: lower max_pixels, clip_frames or max_new_tokens"
                    return [Skip(Reason.QUESTION_TOO_LONG, detail)]
            self.batch = len(rows) // 2
            LOG.warning("out of memory with %d pictures at once: going on with %d", len(rows), self.batch)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        size = self.batch  # of these parts; each may halve it again for those to come
        parts = [rows[start : start + size] for start in range(0, len(rows), size)]
        return [reply for part in parts for reply in self._replies(Batch(rows=part, inputs=self._inputs(part)))]

    @torch.inference_mode()
    def _generated(self, batch: Batch) -> list[Reply | Skip]:
        inputs = {name: self._placed(tensor) for name, tensor in batch.inputs.items()}
        assert any("pixel" in name and len(tensor) for name, tensor in inputs.items()), "no pixels for the model"
        seen = [count for _, count in self._counts(inputs)]
        assert min(seen) > 0, "no place for a picture in a prompt"
        asked = [(row.question.sampling, row.question.seed) for row in batch.rows]
        limits = [rule.max_new_tokens for rule, _ in asked]
        rules = copy.copy(self.rules)
        rules.max_new_tokens = max(limits)
        prompt_tokens = inputs["input_ids"].shape[1]
        said = self.model.generate(
            **inputs,
            generation_config=rules,
            logits_processor=transformers.LogitsProcessorList([Draws(asked, prompt_tokens=prompt_tokens)]),
            stopping_criteria=transformers.StoppingCriteriaList(
                [Limits(limits, prompt_tokens=prompt_tokens, check=self.ctx.check)]
            ),
        )[:, prompt_tokens:].tolist()
        return [self._read(tokens[:limit], count) for tokens, limit, count in zip(said, limits, seen, strict=True)]

    def _placed(self, tensor: Any) -> Any:
        if not isinstance(tensor, Tensor):
            return tensor
        dtype = self.model.dtype if tensor.is_floating_point() else None
        return tensor.to(device=self.model.device, dtype=dtype)

    def _read(self, tokens: list[int], picture_tokens: int) -> Reply:
        """The answer in `tokens`, which go to the first that ends it."""
        ends = [number for number, token in enumerate(tokens) if token in self.rules.eos_token_id]
        said = tokens[: ends[0]] if ends else tokens
        with self.tokenizing:
            text: str = self.processor.tokenizer.decode(said, skip_special_tokens=False)
        text = NO_THOUGHT.sub("", text, count=1)
        if not any(sign in text for sign in THINKING):  # else they are what tells thoughts from an answer
            text = self.chat.control.sub("", text)
        return Reply(text=text.strip(), finish="stop" if ends else "length", picture_tokens=picture_tokens)


def _picture_token(model: Any, processor: Any) -> int:
    """The token that stands for a piece of a picture in the model's input."""
    found = getattr(model.config, "image_token_id", None)
    if found is None:
        found = getattr(processor, "image_token_id", None)
    if found is None:
        raise UserError("model: its files do not say which token stands for a picture, so nobody can tell that it sees")
    return int(found)


def _rules(model: Any, tokenizer: Any) -> Any:
    """How the model ends and what it never says, from its own files; nothing of how it chooses."""
    own = model.generation_config
    ends = own.eos_token_id if own.eos_token_id is not None else tokenizer.eos_token_id
    rules = transformers.GenerationConfig(
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        eos_token_id=[ends] if isinstance(ends, int) else list(ends),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=own.bos_token_id,
        suppress_tokens=own.suppress_tokens,
        bad_words_ids=own.bad_words_ids,
    )
    model.generation_config = copy.deepcopy(rules)  # else values that are left out come from there
    return rules
