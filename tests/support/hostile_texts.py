"""Texts that attack whoever shows them, for tests of every place that shows texts of others."""

from __future__ import annotations

MARK = "pwned"
"""A payload that runs sets this name, or shows this word in a dialog."""

HOSTILE_TEXTS = {
    "script": f"<script>window.{MARK} = 1; alert('{MARK}')</script>",
    "image": f"<img src=x onerror=window.{MARK}=1>",
    "drawing": f"</text></svg><svg onload=window.{MARK}=1>",
    "link": f'<a href="javascript:window.{MARK}=1">javascript:window.{MARK}=1</a>',
    "attribute": f'" onmouseover=window.{MARK}=1 autofocus onfocus=window.{MARK}=1 x="',
    "single quotes": f"' onclick='window.{MARK}=1' x='",
    "style": "</style><style>* { display: none } @import url(https://example.com/x.css);</style>",
    "template": "{{ 7 * 7 }}{% raw %}{{ self.__init__.__globals__ }}${7*7}#{7*7}",
    "title of the terminal": f"\x1b]0;{MARK}\x07\x1b[31mred\x1b[2J",
    "link in the terminal": f"\x1b]8;;https://example.com/{MARK}\x1b\\click\x1b]8;;\x1b\\",
    "control characters of 8 bits": "\x9b31m\x9d0;title\x9c\x85",
    "bidirectional": "\u202emoc.elpmaxe\u202c \u2066inner\u2069 \u061c",
    "zero width": "pay\u200bpal\u200d\ufeff\u00ad\U000e0041",
    "nul": "before\x00after",
    "surrogate": "half \ud83d of \udcff",
    "carriage return": "honest\rforged\nsecond line\ttabbed\u2028third",
    "markup of rich": "[bold red]red[/] [link=https://example.com]click[/link] :warning: [/]",
    "markdown": "a | b `code` [click](javascript:alert(1)) **bold** <!-- end of claims -->",
    "latex": "\\input{/etc/passwd} $x_1^2$ %comment & \\write18{ls}",
    "formula": "=cmd|' /C calc'!A0",
    "mathtext": "$\\frac{1}{0}$ $\\undefined$ $_",
    "long word": "w" * 5000,
}
"""Name → text. Each one is something that a person could write into a study, a file name or an error."""
