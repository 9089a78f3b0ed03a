"""The documentation runs, and README says what is so."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
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


@pytest.mark.parametrize(
    "page", ["README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/*.md"))]
)
def test_python_blocks_compile_and_links_have_targets(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for block in BLOCK.findall(text):
        compile(block, page, "exec")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target


def test_every_public_name_is_in_the_reference():
    import memlens

    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    names = [name for name in memlens.__all__ if not name.endswith("Error")]
    missing = [name for name in names if not re.search(rf"\b{name}\b", text)]
    assert missing == []


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
