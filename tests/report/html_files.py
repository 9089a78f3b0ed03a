"""Reading a report as a browser does: the data, the scripts and the policy of a file."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

SVG_NAMESPACE = "http://www.w3.org/2000/svg"  # a name, which nothing opens


class Parsed(HTMLParser):
    """The scripts, styles and meta tags of a page, by the rules of HTML."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.styles, self.metas = [], [], []
        self._open = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        if tag == "meta":
            self.metas.append(dict(attributes))
        if tag in ("script", "style"):
            self._open = [dict(attributes), ""]
            (self.scripts if tag == "script" else self.styles).append(self._open)

    def handle_data(self, data):
        if self._open is not None:
            self._open[1] += data

    def handle_endtag(self, tag):
        self._open = None

    @property
    def data(self):
        """The data document."""
        (text,) = [text for attributes, text in self.scripts if "id" in attributes]
        return json.loads(text)

    @property
    def script(self):
        (text,) = [text for attributes, text in self.scripts if attributes.get("type") == "module"]
        return text

    @property
    def policy(self):
        """The content security policy, by directive."""
        (content,) = [m["content"] for m in self.metas if m.get("http-equiv")]
        parts = [part.split() for part in content.split(";")]
        return {name: values for name, *values in parts}


def read_report(path):
    """The parsed file, checked: its policy allows its script and style, and nothing else runs."""
    text = path.read_bytes().decode("utf-8")
    parsed = Parsed(text)
    assert len(parsed.scripts) == 2
    (style,) = parsed.styles
    assert parsed.policy["default-src"] == ["'none'"]
    assert parsed.policy["script-src"] == [hash_of(parsed.script)]
    assert parsed.policy["style-src"] == [hash_of(style[1])]
    code = re.sub(r"<script type=.application/json.*?</script>", "", text)
    assert set(re.findall(r"https?://[^\s\"']*", code)) <= {SVG_NAMESPACE}
    return parsed


def hash_of(text):
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
