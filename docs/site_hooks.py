"""What mkdocs needs beside the pages: the overview is README.md, and the examples lie beside it.

README.md, CONTRIBUTING.md and the examples lie outside of docs/, where people look for them first.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_FROM_OUTSIDE = {"index.md": ROOT / "README.md", "contributing.md": ROOT / "CONTRIBUTING.md"}
_IN_DOCS = re.compile(r"\]\(docs/")
_EXAMPLE = re.compile(r"\]\(((?:\.\./)+)examples/")
_ROOT_PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md"}
_ROOT_PAGE = re.compile(r"\]\((?:\.\./)*(README|CONTRIBUTING)\.md")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages and the examples that lie outside of docs/."""
    from mkdocs.structure.files import File

    for name, path in _FROM_OUTSIDE.items():
        files.append(File.generated(config, name, content=path.read_text(encoding="utf-8")))
    for path in sorted(Path(ROOT, "examples").rglob("*")):
        if path.is_file() and path.suffix in (".py", ".yaml", ".toml", ".txt"):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Let links lead to where the pages and examples are on the site."""
    if page.file.src_uri in _FROM_OUTSIDE:
        markdown = _IN_DOCS.sub("](", markdown)
    up = "../" * page.file.src_uri.count("/")
    markdown = _EXAMPLE.sub(f"]({up}examples/", markdown)
    return _ROOT_PAGE.sub(lambda found: f"]({up}{_ROOT_PAGES[found[1] + '.md']}", markdown)
