"""One page: its frame, its style, and what a browser may load with it, which is nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape

from markdown_it import MarkdownIt

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
STYLE = """
:root{color-scheme:light dark;--line:#8886;--soft:#8881;--link:#06c}
@media(prefers-color-scheme:dark){:root{--link:#6bf}}
*{box-sizing:border-box}
body{font:16px/1.55 system-ui,sans-serif;margin:0;display:flex;flex-wrap:wrap}
nav{flex:1 1 13rem;max-width:18rem;padding:1.5rem;border-right:1px solid var(--line)}
main{flex:999 1 40rem;max-width:62rem;padding:1.5rem 2rem;min-width:0}
nav ul{list-style:none;padding:0;margin:.3rem 0 1rem}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
code{font:.9em ui-monospace,monospace;overflow-wrap:anywhere}
pre{background:var(--soft);padding:.8rem;overflow:auto;border-radius:4px}
pre code{overflow-wrap:normal}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1rem}
th{text-align:left}th,td{border-top:1px solid var(--line);padding:.35rem .6rem;vertical-align:top}
td:first-child{white-space:nowrap}
section{border-top:2px solid var(--line);margin-top:2.5rem;padding-top:.5rem}
h2 .verb{opacity:.65;font-weight:400}
:target{background:#fd03}
.quiet{opacity:.7}
"""
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-cache"),
)
"""Sent with every page. No script runs and nothing is loaded, whatever a page may come to hold."""

Link = tuple[str, str]
"""Where it leads, and its text."""


def framed(title: str, groups: Sequence[tuple[str, Iterable[Link]]], body: str) -> bytes:
    """A whole page, with links to all the others."""
    menu = "".join(f"<strong>{escape(name)}</strong>{_links(links)}" for name, links in groups)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{escape(title)} – Commerce Network</title>'
        f"<style>{STYLE}</style></head><body><nav>{menu}</nav><main>{body}</main></body></html>"
    ).encode()


def _links(links: Iterable[Link]) -> str:
    items = "".join(f'<li><a href="{escape(href)}">{escape(text)}</a></li>' for href, text in links)
    return f"<ul>{items}</ul>"


def markdown(text: str) -> str:
    """A text of ours as HTML; tags within it are shown, not taken."""
    return str(_MARKDOWN.render(text))


def inline(text: str) -> str:
    """A line of ours as HTML."""
    return str(_MARKDOWN.renderInline(text))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already; nothing where there are no rows."""
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    return f"<table><tr>{top}</tr>{lines}</table>" if lines else ""


def code(text: str) -> str:
    """A word as code."""
    return f"<code>{escape(text)}</code>"


def block(text: str, kind: str = "") -> str:
    """Lines as code."""
    given = f' class="{kind}"' if kind else ""
    return f"<pre{given}><code>{escape(text)}</code></pre>"
