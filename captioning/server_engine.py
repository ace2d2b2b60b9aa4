"""A vision-language model behind a server: options of the engine `kind: server`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal

from captioning.egress import foreign_hosts, refusal
from captioning.vlm import VlmOptions, known_pictures
from shards.stage import Context

if TYPE_CHECKING:
    from captioning.vlm import VlmCaptioner


Scalar = str | bool | int | float | None
OURS = (
    "model",
    "messages",
    "stream",
    "n",
    "chat_template_kwargs",
)  # fields of a request that have options of their own
PLACE: Mapping[str, bool] = {"fingerprint": False}  # says where and how fast, not what


@dataclass(frozen=True, kw_only=True)
class ServerEngine(VlmOptions):
    """Any server that speaks OpenAI's chat completions: vLLM, SGLang, Ollama, a hosted one.

    Thinking is off by request. vLLM and SGLang take that as `chat_template_kwargs` (docs.vllm.ai, reasoning outputs),
    whose name depends on the model (`enable_thinking`, DeepSeek's `thinking`); Ollama as `request: {reasoning_effort:
    none}` (github.com/ollama/ollama/pull/14821). A server that refuses unknown fields, as hosted ones do, needs
    `chat_template_kwargs: {}`.
    """

    kind: Literal["server"]
    urls: tuple[str, ...] = field(metadata=PLACE)  # of servers with the same model, up to and with /v1
    trusted_hosts: tuple[str, ...] = field(default=(), metadata=PLACE)  # that process data for you alone
    in_flight: int = field(default=32, metadata=PLACE)  # requests at once, to each url
    deadline_s: float = field(default=300.0, metadata=PLACE)  # of a request, and for how long all urls may fail
    api_key_env: str = field(default="", metadata=PLACE)  # the environment variable that holds the key
    video_url: bool = False  # a clip goes as one MP4, not as pictures with their times
    chat_template_kwargs: Mapping[str, Scalar] = field(default_factory=lambda: {"enable_thinking": False})
    request: Mapping[str, Scalar] = field(default_factory=dict)  # further fields of a request; null leaves one out

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.urls or len(set(self.urls)) < len(self.urls):
            raise ValueError("urls: name at least one, such as http://127.0.0.1:8000/v1, and none twice")
        foreign_hosts(self.urls, self.trusted_hosts)
        if self.in_flight < 1:
            raise ValueError(f"in_flight: {self.in_flight} must be 1 or more")
        if not 0 < self.deadline_s < float("inf"):
            raise ValueError(f"deadline_s: {self.deadline_s} must be above 0")
        if taken := [name for name in OURS if name in self.request]:
            raise ValueError(f"request: {', '.join(taken)} cannot be set here")

    def identity(self, ctx: Context) -> dict[str, str]:
        """Prompt behind its name, and the hosts that may not have every picture; the model is among the options."""
        from captioning.prompts import read_prompt

        prompt = read_prompt(self.prompt, ctx).version
        foreign = foreign_hosts(self.urls, self.trusted_hosts)
        gate = {"foreign": ", ".join(foreign)} if foreign else {}
        return {"captioner": self.by(prompt), "prompt": prompt, **gate}

    @contextmanager
    def open(self, ctx: Context) -> Iterator[VlmCaptioner]:
        """The captioner, connected."""
        from captioning.answer_store import FOLDER, open_store
        from captioning.prompts import read_prompt
        from captioning.vlm import VlmCaptioner

        try:
            from captioning.server_model import connected
        except ModuleNotFoundError as error:
            if error.name != "aiohttp":
                raise
            raise ImportError("captions from a server need aiohttp: pip install 'medloom[caption]'") from error

        foreign = foreign_hosts(self.urls, self.trusted_hosts)
        with open_store(ctx.kept(FOLDER)) as store, connected(self, ctx) as model:
            yield VlmCaptioner(
                self,
                model,
                read_prompt(self.prompt, ctx),
                store,
                canaries=known_pictures(self, ctx),
                allows=partial(refusal, foreign=foreign),
            )
