"""The documentation runs, and README says what is so."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import memlens

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
PAGES = [
    "README.md",
    *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md")),
]
LINK = re.compile(r"\]\(([^)#]*)(?:#([^)]+))?\)")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_tutorial_runs_as_written(tmp_path):
    blocks = BLOCK.findall((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"))
    assert len(blocks) >= 8
    (tmp_path / "tutorial.py").write_text("\n".join(blocks), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "tutorial.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "__main__.catalogue.prices grows" in done.stdout


@pytest.mark.parametrize("page", PAGES)
def test_python_blocks_compile_and_links_have_targets(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for block in BLOCK.findall(text):
        compile(block, page, "exec")
    for target, heading in LINK.findall(text):
        if "://" not in target:
            linked = ROOT / page if not target else (ROOT / page).parent / target
            assert linked.exists(), target
            assert not heading or heading in _headings(linked), (target, heading)


def _headings(page):
    """Return the names by which links refer to the headings of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_picture_is_shown_made_by_the_script_small_and_without_the_network():
    texts = [(ROOT / page).read_text(encoding="utf-8") for page in PAGES]
    shown = {
        name for text in texts for name in re.findall(r"!\[[^]]+\]\([^)]*pictures/(.*?)\)", text)
    }
    command = [sys.executable, "docs/make_pictures.py", "--list"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = {path.name: path for path in PICTURES.iterdir()}
    assert {*files} == shown == {*listed.split()}
    for name, path in files.items():
        assert path.stat().st_size <= 80_000, name
        if name.endswith(".svg"):
            assert "url(http" not in path.read_text(encoding="utf-8"), name


def test_the_script_of_the_pictures_names_the_extra_that_is_missing():
    code = "import make_pictures; make_pictures.needed('memlens_absent.part')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "docs", capture_output=True, text=True, check=False
    )
    assert "the pictures need memlens_absent: pip install -e '.[pictures]'" in done.stderr


def test_each_view_has_a_page_that_the_readme_and_the_how_to_link():
    views = {path.name for path in ROOT.glob("docs/views/*.md")}
    for page in ("README.md", "docs/how-to.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert views == {*re.findall(r"\]\([^)#]*views/([^)#]+)", text)}, page


def test_every_public_name_is_in_the_reference():
    import memlens

    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    names = [name for name in memlens.__all__ if not name.endswith("Error")]
    missing = [name for name in names if not re.search(rf"\b{name}\b", text)]
    assert missing == []


def test_every_option_of_the_profiler_is_in_the_reference():
    section = (
        (ROOT / "docs" / "reference.md")
        .read_text()
        .split("## MemoryProfiler\n")[1]
        .split("\n## ")[0]
    )
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    options = inspect.signature(memlens.MemoryProfiler).parameters
    assert sorted(listed) == sorted(options)


def test_readme_has_two_commands_and_the_output_of_the_demo():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^```console\n\$ (.*)\n```$", text, re.MULTILINE)
    assert commands == [
        "pip install . && python -m memlens demo",
        'pip install -e ".[test]" && python -m pytest',
    ]
    shown = re.search(r"```text\n(.*?)```", text, re.DOTALL).group(1)
    done = subprocess.run(
        [sys.executable, "-m", "memlens", "demo"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert _comparable(done.stdout) == _comparable(shown)


def _comparable(output):
    """What a run and another have in common: not sizes, times, folders or where lines wrap."""
    words = " ".join(output.split())
    words = re.sub(r"\(\S*?shop\.py", "(shop.py", words)
    return re.sub(r"[+-]?[\d.,]+ ?([KM]iB|B|ms|s|snapshots)?", "#", words)
