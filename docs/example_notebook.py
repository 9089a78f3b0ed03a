"""A notebook that keeps what its cells make, as a web page: for the pictures of the documentation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbclient
import nbformat

_MAX_SECONDS = 60  # of a cell
CELLS = (
    "%load_ext memlens\nsamples = []\n\nclass Sample:\n    def __init__(self, number):\n"
    "        self.values = [number + i / 7 for i in range(400)]",
    "%leaks start",
    "samples.extend(Sample(i) for i in range(200))",
    "samples.extend(Sample(i) for i in range(200))",
    "samples.extend(Sample(i) for i in range(200))",
    "%leaks",
)


def notebook_page(folder: Path, environment: dict[str, str]) -> str:
    """Run the cells in a kernel with an environment and files below a folder; return a page of them."""
    os.environ |= environment
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        os.environ[name] = str(folder / name.lower())
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in CELLS])
    nbclient.NotebookClient(notebook, timeout=_MAX_SECONDS, kernel_name="python3").execute()
    parts = []
    for number, cell in enumerate(notebook.cells, 1):
        parts.append(f"<pre class=in><b>[{number}]</b> {_escaped(cell.source)}</pre>")
        parts += [_output(one) for one in cell.outputs]
    style = (
        "body{font:14px/1.4 sans-serif;background:#fff;color:#222;margin:0;padding:12px;width:900px}"
        "pre{margin:2px 0}.in{background:#f3f3f5;border:1px solid #ddd;padding:5px 9px}b{color:#357}"
    )
    return f"<!DOCTYPE html><meta charset=utf-8><style>{style}</style><body>{''.join(parts)}"


def _output(output: Any) -> str:
    if output.output_type == "stream":
        return f"<pre>{_escaped(output.text)}</pre>"
    return str(output.data.get("text/html") or f"<pre>{_escaped(output.data['text/plain'])}</pre>")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
