"""The programs of docs/recipes.md do what the page says."""

from __future__ import annotations

import re

import pytest

from tests.examples.programs import EXAMPLES, ROOT, run_example

RECIPES = ROOT / "docs" / "recipes.md"


@pytest.mark.services
def test_fastapi():
    printed = run_example("fastapi_lifespan", "fastapi", "uvicorn")
    assert "fastapi_lifespan.sessions grows" in printed
    assert "/debug/memory is a page" in printed


@pytest.mark.services
def test_flask_under_gunicorn_with_and_without_preload():
    printed = run_example("flask_gunicorn", "flask", "gunicorn")
    assert printed.count("flask_gunicorn.uploads grows") == 2
    assert "gunicorn --preload" in printed


@pytest.mark.services
def test_django_with_its_reloader_and_with_workers():
    printed = run_example("django_workers", "django", "gunicorn")
    assert "leaks. Processes profiled: 1" in printed
    assert "after the reload: process" in printed
    assert "gunicorn: processes profiled: 2" in printed


@pytest.mark.services
def test_celery_names_the_leak_of_each_process():
    printed = run_example("celery_worker", "celery")
    assert printed.count("celery_worker.thumbnails grows") == 2


def test_a_jupyter_server_and_its_kernel():
    printed = run_example("jupyter_kernels", "jupyter_server", "ipykernel")
    assert "the name frames" in printed
    assert "snapshots of the server itself: ['heap-startup-" in printed


def test_a_pod_with_a_limit():
    printed = run_example("kubernetes_pod")
    assert "the program knows a limit of 300 MiB" in printed
    assert "end_by_sigterm: ['heap-sigterm-" in printed
    assert "leak_to_limit: ['heap-limit-" in printed
    assert printed.count("__main__.messages grows") == 2


def test_the_manifest_sets_what_the_program_reads():
    manifest = (ROOT / "docs" / "kubernetes.yaml").read_text(encoding="utf-8")
    program = (EXAMPLES / "kubernetes_pod.py").read_text(encoding="utf-8")
    for name in ("MEMORY_LIMIT", "PROFILES"):
        assert f'os.environ.get("{name}"' in program
        assert f"name: {name}" in manifest
    assert "name: MEMLENS_TOKEN" in manifest
    assert 'command: ["python", "kubernetes_pod.py", "serve"]' in manifest


def test_every_recipe_links_its_program():
    linked = set(re.findall(r"\.\./examples/([\w./]+)", RECIPES.read_text(encoding="utf-8")))
    assert {"fastapi_lifespan.py", "flask_gunicorn.py", "django_workers.py"} <= linked
    assert [name for name in linked if not (EXAMPLES / name).exists()] == []
