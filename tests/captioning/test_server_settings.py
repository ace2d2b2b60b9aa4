"""Wrong settings are told at once, and nothing is taken from the environment but what the settings name."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from captioning.server_model import connected
from pipelines.options import plain
from shards.stage import Context, UserError

L = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("chat_lines.py"))))
ctx, chat, soon = L.ctx, L.chat, L.soon
Plan = Callable[[Any, Any, Any], bool]


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (L.sends(400), "to a plain question with a picture (not now): mend model, request (null leaves a field out)"),
        (L.sends(422), "HTTP 422 to a plain question"),
        (L.sends(401), "name the environment variable that holds its key: api_key_env"),
        (L.sends(404), "up to and with /v1"),
        (
            L.sends(307, b"", Location="http://elsewhere.example/v1"),
            "'http://elsewhere.example/v1' and is not followed",
        ),
    ],
)
def test_a_wrong_configuration_is_told_and_ends_the_run(chat: Any, ctx: Context, plan: Plan, told: str) -> None:
    chat.plan = plan
    with pytest.raises(UserError) as caught:
        L.answered(L.engine(chat), ctx, [L.Line(n) for n in range(50)])
    assert told in str(caught.value)


def test_no_redirect_is_followed(chat: Any, ctx: Context) -> None:
    with L.CHAT.serving() as other:
        chat.plan = L.sends(308, b"", Location=f"{other.url}/chat/completions")
        with pytest.raises(UserError, match="is not followed"):
            L.answered(L.engine(chat), ctx, [L.Line(0)])
    assert (other.requests, other.lists) == ([], 0)


def test_where_the_servers_are_is_no_reason_to_caption_anew_but_who_they_are_is(ctx: Context) -> None:
    here, there = L.engine("http://127.0.0.1:1/v1"), L.engine("http://127.0.0.1:2/v1", in_flight=2, deadline_s=9.0)
    foreign = L.engine("https://api.example.org/v1")
    trusted = L.engine("https://api.example.org/v1", trusted_hosts=("api.example.org",))
    assert plain(here) == plain(there) == plain(foreign) == plain(trusted)
    assert here.identity(ctx) == there.identity(ctx) == trusted.identity(ctx)
    assert foreign.identity(ctx) == {**here.identity(ctx), "foreign": "api.example.org"}
    assert plain(here) != plain(L.engine("http://127.0.0.1:1/v1", request={"min_p": 0.1}))


def test_a_model_that_the_server_has_not_is_told_with_those_that_it_has(chat: Any, ctx: Context) -> None:
    chat.models = [{"id": "b"}, {"id": "a"}, {"no": "id"}]
    with pytest.raises(UserError, match=r"no 'tiny-vlm'; it has a, b$"):
        L.answered(L.engine(chat), ctx, [])
    chat.models = [{"id": f"{L.CHAT.MODEL}:latest"}]
    assert L.answered(L.engine(chat), ctx, []) == []


def test_what_the_server_says_of_the_model_is_kept_but_no_time(chat: Any, ctx: Context) -> None:
    chat.models = [{"id": L.CHAT.MODEL, "root": "org/tiny", "revision": "abc", "created": 5, "owned_by": "vllm"}]
    with connected(L.engine(chat, revision="mine"), ctx) as model:
        assert model.facts == {
            "engine": "server",
            "model": L.CHAT.MODEL,
            "revision": "mine",
            "asked": '[{"enable_thinking":false},{},false]',
            "server's revision": "abc",
            "server's root": "org/tiny",
        }


def test_a_server_without_a_list_of_models_is_asked_all_the_same(chat: Any, ctx: Context) -> None:
    chat.lists_status = 404
    assert L.answered(L.engine(chat), ctx, [L.Line(1)])[0].said == L.GOOD[1]


def test_servers_that_disagree_on_the_model_are_told(chat: Any, ctx: Context) -> None:
    other = L.CHAT.ChatServer(models=[{"id": L.CHAT.MODEL, "root": "org/other"}])
    with L.CHAT.serving(other), pytest.raises(UserError, match="start them alike"):
        L.answered(L.engine(chat, other), ctx, [])


def test_the_key_comes_from_the_environment_and_only_there(
    chat: Any, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="MEDLOOM_TEST_KEY holds no key"):
        L.answered(L.engine(chat, api_key_env="MEDLOOM_TEST_KEY"), ctx, [])
    monkeypatch.setenv("MEDLOOM_TEST_KEY", "sesame")
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    netrc = ctx.root / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    options = L.engine(chat, api_key_env="MEDLOOM_TEST_KEY")
    L.answered(options, ctx, [L.Line(1)])
    assert {request.headers["Authorization"] for request in chat.requests} == {"Bearer sesame"}
    assert not any("Cookie" in request.headers for request in chat.requests)
    chat.requests.clear()
    L.answered(L.engine(chat), ctx, [L.Line(1)])
    assert not any("Authorization" in request.headers for request in chat.requests)


def test_cookies_are_not_kept(chat: Any, ctx: Context) -> None:
    chat.plan = lambda server, request, handler: (
        handler.send_json(server.answer(request), Set_Cookie="id=1; Path=/") or True
    )
    L.answered(L.engine(chat, in_flight=1), ctx, [L.Line(n) for n in range(3)])
    assert not any("Cookie" in request.headers for request in chat.requests)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"urls": ()}, "urls"),
        ({"urls": ("http://127.0.0.1/v1", "http://127.0.0.1/v1")}, "none twice"),
        ({"urls": ("ftp://127.0.0.1/v1",)}, "urls"),
        ({"urls": ("http://me:secret@127.0.0.1/v1",)}, "without name and password"),
        ({"in_flight": 0}, "in_flight"),
        ({"deadline_s": 0.0}, "deadline_s"),
        ({"request": {"stream": True}}, "request: stream"),
    ],
)
def test_wrong_options_are_told(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        L.engine("http://127.0.0.1/v1", **options)
