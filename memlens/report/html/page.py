"""The page: template, style and scripts of the front end as one HTML file with the data in it.

The front end consists of ES modules, which a browser does not load from ``file://``. So they are
joined to one script, in the order in which they import each other, without the lines of import, the
words of export and the lines that are comment only. That needs a few rules, which are checked here:
names are imported as they are, and no two modules define the same name at their top level.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable

from memlens.errors import OutputError

__all__ = ("Page", "bundle", "installed_page")

_IMPORT = re.compile(
    r"^import\s+(?:\{(?P<names>[^}]*)\}\s*from\s*)?[\"']\./(?P<module>[\w.-]+)[\"'];?[ \t]*$",
    re.MULTILINE,
)
_EXPORT = re.compile(r"^export (?=(?:async function|function|const|let|class)\b)", re.MULTILINE)
_EXPORTED = re.compile(
    r"^export (?:async function\*?|function\*?|const|let|class)\s+(\w+)", re.MULTILINE
)
_DEFINED = re.compile(
    r"^(?:export )?(?:async function\*?|function\*?|const|let|class|var)\s+(\w+)", re.MULTILINE
)
_LEFT = re.compile(r"^\s*(?:import\b(?!\.meta)|export\b)|\bimport\s*\(", re.MULTILINE)
_LINES_OF_COMMENT = re.compile(r"^[ \t]*(?:/\*(?:[^*]|\*(?!/))*\*/|//[^\n]*)[ \t]*\n", re.MULTILINE)
_TYPE = re.compile(r"/\*\*(?:[^*]|\*(?!/))*\*/")  # written with import(), which is none


@dataclass(frozen=True, slots=True)
class Page:
    """A front end: its template with ``<!--memlens:style-->``, ``<!--memlens:script-->``,
    ``<!--memlens:data-->`` and ``<!--memlens:csp-->`` where these belong, its style and its script.
    """

    template: str
    style: str
    script: str

    @classmethod
    def load(cls, folder: Traversable, main: str = "main.js") -> Page:
        """Read ``report.html``, ``report.css`` and the ``.js`` files that ``main`` imports of a folder.

        Raises ``OutputError`` where one is missing or cannot be put into a page.
        """
        modules = {
            entry.name: entry.read_text(encoding="utf-8")
            for entry in (folder.iterdir() if folder.is_dir() else ())
            if entry.name.endswith(".js")
        }
        page = cls(
            _text(folder, "report.html"),
            _text(folder, "report.css"),
            bundle(_reachable(main, modules)),
        )
        for place in ("style", "script", "data", "csp"):
            if page.template.count(_mark(place)) != 1:
                raise OutputError(f"report.html must contain {_mark(place)} once")
        if re.search(r"</style|<!--", page.style, re.IGNORECASE):
            raise OutputError("report.css must not contain </style or <!--")
        return page

    def html(self, data: str) -> bytes:
        """Return the file with the data, a text of JSON without ``<``."""
        if "<" in data:
            raise ValueError("the data must be escaped for HTML")
        parts = {
            "csp": _policy(self.script, self.style),
            "style": f"<style>{self.style}</style>",
            "script": f'<script type="module">{self.script}</script>',
            "data": f'<script type="application/json" id="memlens-data">{data}</script>',
        }
        pieces = re.split(r"<!--memlens:(csp|style|script|data)-->", self.template)
        for place in range(1, len(pieces), 2):
            pieces[place] = parts[pieces[place]]
        return "".join(pieces).encode("utf-8")


def installed_page() -> Traversable:
    """Return the folder of the front end that is installed with memlens."""
    return importlib.resources.files("memlens.report.html") / "page"


def bundle(modules: Mapping[str, str]) -> str:
    """Return ES modules as one script. ``modules`` maps names of files to their texts.

    Raises ``OutputError`` for modules that import each other in a circle, import what is not
    exported, define a name twice, or use a form of import or export that cannot be removed.
    """
    imports = {name: _imports(name, text, modules) for name, text in modules.items()}
    _check_names(modules)
    parts = []
    for name in _in_order(imports):
        text = _EXPORT.sub("", _IMPORT.sub("", _LINES_OF_COMMENT.sub("", modules[name]))).strip()
        code = _TYPE.sub("", text)
        left = _LEFT.search(code)
        if left is not None:
            line = code[left.start() :].strip().partition("\n")[0]
            raise OutputError(f"{name}: this import or export cannot be joined: {line}")
        if re.search(r"</script|<!--", text, re.IGNORECASE):
            raise OutputError(f"{name} must not contain </script or <!--")
        parts.append(text)
    return "\n".join(["", *parts, ""])


def _reachable(main: str, modules: Mapping[str, str]) -> dict[str, str]:
    """Return a module and those that it needs; all of them where it does not exist."""
    if main not in modules:
        return dict(modules)
    found: dict[str, str] = {}
    waiting = [main]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = modules[name]
            waiting += _imports(name, modules[name], modules)
    return found


def _imports(name: str, text: str, modules: Mapping[str, str]) -> set[str]:
    """Return the modules that a module imports, checked to export what it wants of them."""
    found = set()
    for match in _IMPORT.finditer(text):
        module = match["module"]
        if module not in modules:
            raise OutputError(f"{name} imports {module}, which does not exist")
        exported = set(_EXPORTED.findall(modules[module]))
        wanted = {one.strip() for one in (match["names"] or "").split(",")} - {""}
        if not wanted <= exported:
            missing = ", ".join(sorted(wanted - exported))
            raise OutputError(f"{name} imports {missing} of {module}, which does not export it")
        found.add(module)
    return found


def _check_names(modules: Mapping[str, str]) -> None:
    homes: dict[str, str] = {}
    for module, text in sorted(modules.items()):
        for name in _DEFINED.findall(text):
            if name in homes:
                raise OutputError(f"{name} is defined twice, in {homes[name]} and {module}")
            homes[name] = module


def _in_order(imports: Mapping[str, set[str]]) -> list[str]:
    """Return the modules so that each comes after those that it imports, else by name."""
    ordered: list[str] = []
    waiting = sorted(imports)
    while waiting:
        ready = [name for name in waiting if imports[name] <= {*ordered}]
        if not ready:
            raise OutputError(f"these modules import each other: {', '.join(waiting)}")
        ordered.append(ready[0])
        waiting.remove(ready[0])
    return ordered


def _policy(script: str, style: str) -> str:
    content = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )
    return f'<meta http-equiv="Content-Security-Policy" content="{content}">'


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _mark(place: str) -> str:
    return f"<!--memlens:{place}-->"


def _text(folder: Traversable, name: str) -> str:
    file = folder / name
    if not file.is_file():
        raise OutputError(
            f"the front end of the HTML report is not installed: {name} is missing; install memlens"
            " again"
        )
    return file.read_text(encoding="utf-8").replace("\r\n", "\n")
