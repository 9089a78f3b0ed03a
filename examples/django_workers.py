"""Django: a profiler that starts in ``AppConfig.ready``, and its endpoints.

    python examples/django_workers.py

starts the project in django_project with the development server and its reloader, changes a file so
that it reloads, starts the project with gunicorn and two workers, makes both leak, and prints what
leaks. To serve it yourself:

    cd examples/django_project
    MEMLENS_TOKEN=... python manage.py runserver
    MEMLENS_TOKEN=... gunicorn --workers 2 shop.wsgi
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from _server import HERE, Server


def profiled(folder: str) -> set[str]:
    """Return the processes that have taken snapshots, from the names of the files."""
    return {path.stem.split("-")[3] for path in Path(folder).glob("heap-*.memlens")}


def try_development_server(project: Path, folder: str) -> None:
    """Run the development server: only the process that serves is profiled."""
    with Server("manage", "runserver", "127.0.0.1:{port}", folder=folder, cwd=project) as server:
        server.leaks_of("/buy/{number}", "shop.urls.baskets")
        first = process_of(server)
        print(f"runserver: process {first} leaks. Processes profiled: {len(profiled(folder))}")
        if profiled(folder) != {str(first)}:
            raise SystemExit("the reloader is profiled, too")
        (project / "shop" / "urls.py").touch()  # a developer has saved a file
        server.wait_until(lambda: process_of(server) not in (0, first))
        server.leaks_of("/buy/{number}", "shop.urls.baskets")
        print(f"after the reload: process {process_of(server)} leaks")


def process_of(server: Server) -> int:
    """Return the process that serves now, 0 while none does."""
    try:
        report = json.loads(server.get("/debug/memory?format=json", server.token))
    except OSError:
        return 0
    return int(report["pid"])


def try_workers(project: Path, folder: str) -> None:
    """Run gunicorn with two workers: each has a profiler of its own."""
    command = ("gunicorn", "--workers", "2", "-b", "127.0.0.1:{port}", "shop.wsgi")
    with Server(*command, folder=folder, cwd=project) as server:
        leaks = server.leaks_of("/buy/{number}", "shop.urls.baskets")
        print(f"gunicorn: processes profiled: {len(profiled(folder))}\n{leaks}")
        if len(profiled(folder)) != 2:
            raise SystemExit("a worker is not profiled")


def main() -> None:
    """Run both servers."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "django_project")
        shutil.copytree(HERE / "django_project", project)
        try_development_server(project, f"{folder}/development")
        try_workers(project, f"{folder}/workers")


if __name__ == "__main__":
    main()
