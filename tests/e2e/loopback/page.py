"""A message as a web page, roughly as Discord shows it, to be looked at."""

import base64
import html
from collections.abc import Mapping
from typing import Any

from tests.e2e.loopback.client import Json, Loopback, shown

STYLE = """
body { background: #313338; color: #dbdee1; font: 16px/1.4 sans-serif; padding: 24px; }
.box { background: #2b2d31; border: 1px solid #3f4147; border-left: 4px solid var(--accent);
  border-radius: 8px; padding: 16px; width: 560px; }
.box > * { margin-bottom: 8px; white-space: pre-line; }
img { max-width: 100%; border-radius: 8px; display: block; }
button { background: #4e5058; color: #fff; border: 0; border-radius: 8px; padding: 8px 14px;
  margin: 2px 4px 2px 0; font: inherit; }
button.s1 { background: #5865f2; } button.s3 { background: #248046; }
button.s4 { background: #da373c; }
"""


async def page_of(loopback: Loopback, message: Json) -> str:
    """The page, pictures included."""
    pictures = {}
    for item in shown(message):
        url = item["media"]["url"]
        data = base64.b64encode(await loopback.fetch(url)).decode()
        pictures[url] = f"data:{item['media']['content_type']};base64,{data}"
    body = "".join(_drawn(part, pictures) for part in message["components"])
    content = html.escape(message["content"])
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{content}{body}"


def _drawn(part: Mapping[str, Any], pictures: Mapping[str, str]) -> str:
    inner = "".join(_drawn(child, pictures) for child in part.get("components") or ())
    match part["type"]:
        case 1:
            return f"<div>{inner}</div>"
        case 2:
            label = f"{(part.get('emoji') or {}).get('name', '')} {part.get('label', '')}"
            return f"<button class=s{part['style']}>{html.escape(label.strip())}</button>"
        case 10:
            return f"<div>{html.escape(part['content'])}</div>"
        case 12:
            return "".join(
                f'<img src="{pictures[item["media"]["url"]]}" '
                f'alt="{html.escape(item["description"] or "")}">'
                for item in part["items"]
            )
        case 17:
            colour = part.get("accent_color") or 0x3F4147
            return f'<div class=box style="--accent:#{colour:06x}">{inner}</div>'
        case kind:
            return f"<div>(component {kind})</div>"
