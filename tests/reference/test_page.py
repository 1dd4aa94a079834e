"""The pages under /docs: they link only to what is there, load nothing, and their curls run."""

from __future__ import annotations

import asyncio
import json
import re
from html import unescape
from pathlib import Path

import pytest

from commerce.app import App
from commerce.installation import handbook
from commerce.kernel.errors import ROWS
from commerce.resource.rehearsal import Exchange, Shown
from commerce.settings import Settings
from commerce.web import page, shell
from tests.contract.surface import ENDPOINTS
from tests.process import Server, commerce
from tests.reference import shell as terminal
from tests.stage import Stage

CURL = re.compile(r'<pre class="curl"><code>(.*?)</code></pre>', re.DOTALL)
HREF = re.compile(r'href="([^"]*)"')
PYTHON = re.compile(r"default (None|True|False)|: (None|True|False)[,}]|&#x27;: |\b10{12}\b")
ID = re.compile(r'\bid="([^"]*)"')


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    settings = Settings(base_url="https://api.example.com")
    made = asyncio.run(handbook(settings).pages())
    return {path: body.decode() for path, body in made.items()}


async def test_every_page_is_served_whole_and_under_its_policy(
    stage: Stage, pages: dict[str, str]
) -> None:
    assert sorted(stage.app.handbook.paths()) == sorted(pages)
    for path in pages:
        reply = await stage.send("GET", path.encode(), [])
        assert reply.status == 200, path
        assert reply.headers["content-type"] == "text/html; charset=utf-8"
        assert reply.headers["content-security-policy"] == page.POLICY
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.body.endswith(b"</html>")
    assert (await stage.send("GET", b"/docs/", [])).body.decode().endswith("</html>")


def test_every_link_leads_to_a_page_and_a_place_on_it(pages: dict[str, str]) -> None:
    broken = []
    for path, text in pages.items():
        for href in HREF.findall(text):
            target, _, anchor = unescape(href).partition("#")
            known = target in pages or target in ("/openapi.json", "data:,")
            placed = not anchor or anchor in ID.findall(pages.get(target, ""))
            if not (known and placed):
                broken.append((path, href))
    assert broken == []


def test_a_page_loads_nothing_and_runs_nothing(pages: dict[str, str]) -> None:
    for path, text in pages.items():
        assert not re.search(r"<(script|img|iframe|object|embed|form)\b|\bsrc=|@import|url\(", text)
        assert set(re.findall(r"<link [^>]*>", text)) == {'<link rel="icon" href="data:,">'}, path
        assert set(re.findall(r"<style>(.*?)</style>", text, re.DOTALL)) == {page.STYLE}
    assert "default-src 'none'" in page.POLICY


def test_every_code_has_its_place_on_the_page_of_errors(pages: dict[str, str]) -> None:
    assert sorted(ID.findall(pages["/docs/errors"])) == sorted(row.code for row in ROWS)


def test_tags_in_a_text_are_shown_and_not_taken() -> None:
    for made in (page.markdown("<b>x</b>"), page.inline("<b>x</b>"), page.block("<b>x</b>")):
        assert "&lt;b&gt;" in made
        assert "<b>" not in made
    assert "javascript:" not in page.inline("[x](javascript:alert(1))").partition("href")[2]
    framed = page.framed("<i>", [("<u>", [('"><a>', "<s>")])], "").decode()
    assert not re.search(r"<(i|u|s)>|\"\"><a>", framed)


def test_every_operation_shows_a_curl(pages: dict[str, str]) -> None:
    shown = sum(len(CURL.findall(text)) for text in pages.values())
    assert shown == len(ENDPOINTS)


def test_the_pages_hold_no_value_as_python_writes_it(pages: dict[str, str]) -> None:
    for path, text in pages.items():
        assert not PYTHON.search(text), path
    assert "default bank_wire" in pages["/docs/stablecoin"]
    assert "default {&quot;type&quot;: &quot;bank_wire&quot;}" in pages["/docs/stablecoin"]


def test_an_object_within_an_error_has_its_fields_listed(pages: dict[str, str]) -> None:
    for name in ("type", "code", "message", "param", "doc_url", "request_id"):
        assert f"<code>error.{name}</code>" in pages["/docs/objects/error"]


def test_a_list_and_a_retrieve_say_what_the_call_does(pages: dict[str, str]) -> None:
    text = pages["/docs/stablecoin"]
    for words in ("Retrieve one stablecoin transfer.", "List stablecoin transfer objects, newest"):
        assert f"<p>{words}" in text


def test_what_an_operation_answers_is_its_own(pages: dict[str, str]) -> None:
    def returns(group: str, id_: str) -> str:
        section = pages[f"/docs/{group}"].partition(f'<section id="{id_}">')[2]
        return re.search(r"<h3>Returns</h3><p>([^:]*):", section)[1]  # type: ignore[index]

    assert returns("accounts", "post_accounts") == "201"
    assert returns("stablecoin", "post_stablecoin_issue") == "200 or 201"
    assert returns("stablecoin", "post_stablecoin_transfers_id_cancel") == "200"
    assert returns("api_keys", "post_api_keys_id_roll") == "201"
    assert returns("stablecoin", "get_stablecoin_balance") == "200"


def test_a_body_with_quotes_reaches_curl_as_it_is(tmp_path: Path) -> None:
    body = {"to": "w1", "memo": 'it\'s "$HOME" `x`'}
    call = Exchange("POST", "/x", body, None, 201, {})
    script = shell.script(Shown((), call, "w2"), "http://127.0.0.1:1")
    (said,) = terminal.run(
        [f"curl() {{ printf '%s' \"${{@: -1}}\"; }}; {script}"], tmp_path, KEY="k"
    )
    assert json.loads(said.text.strip()) == body


def test_each_curl_of_the_reference_runs(server: Server) -> None:
    made = commerce("docs", "build", "--out", server.data_dir.with_name("site"), **address(server))
    assert made.status == 0, made.err
    site = server.data_dir.with_name("site")
    scripts = [
        unescape(each)
        for file in sorted(site.rglob("index.html"))
        for each in CURL.findall(file.read_text())
    ]
    # What makes things comes first, as somebody who tries the reference out would have it.
    scripts.sort(key=lambda script: "-d '" not in script.splitlines()[-1])
    lines = [line for script in scripts for line in script.splitlines()]
    said = terminal.run(lines, site, KEY=server.sandbox["secret_key"])
    answers = [each.answer for each in said if each.line.startswith("curl")]
    assert len(answers) >= len(ENDPOINTS)
    refused = [answer for answer in answers if "error" in answer]
    assert refused == []


def address(server: Server) -> dict[str, str]:
    return {"COMMERCE_BASE_URL": server.url}


def test_the_document_is_printed_as_it_is_served(server: Server) -> None:
    printed = commerce("openapi", **address(server))
    assert printed.status == 0
    assert printed.json["openapi"] == "3.1.0"
    assert printed.json["servers"] == [{"url": server.url}]
    site = server.data_dir.with_name("again")
    assert commerce("docs", "build", "--out", site, **address(server)).status == 0
    assert json.loads((site / "openapi.json").read_text()) == printed.json
    assert server.url + "/docs" in server.out


def test_the_handbook_is_made_no_sooner_than_it_is_read(stage: Stage) -> None:
    assert isinstance(stage.app, App)
    assert handbook(Settings())._source is None
