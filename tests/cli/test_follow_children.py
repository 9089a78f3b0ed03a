"""`memlens run --follow-children`: Pythons that the program starts are reported, too."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from memlens import _core
from memlens.cli.child_reports import report_children
from memlens.cli.follow_children import FOLLOW_VARIABLE, following, not_followed
from memlens.process.identity import RUN_VARIABLE

forks = pytest.mark.skipif(_core.fork_capture is None, reason="captures would be too slow")

WORK = """
import multiprocessing, os, subprocess, sys, time

class Order:
    def __init__(self, number):
        self.text = f"order {number} " * 20

LEAKED = []

def snapshot_count():
    folder = os.environ["SNAPSHOTS"]
    return sum(f"-{os.getpid()}-" in name for name in os.listdir(folder) if name[-1] == "s")

def work(keeps):
    # Until enough snapshots of this process are there, however busy the machine is.
    while snapshot_count() < (6 if keeps else 3):
        orders = [Order(number) for number in range(10)]
        if keeps:
            LEAKED.extend(orders)
        time.sleep(0.005)  # the program takes its time
"""


def run(tmp_path, body, *words, options=(), environment=()):
    (tmp_path / "script.py").write_text(WORK + textwrap.dedent(body))
    (tmp_path / "temporary").mkdir()
    command = [sys.executable, "-m", "memlens", "run", "--follow-children", "-o", "out"]
    return subprocess.run(
        [*command, "--snapshot-interval", "0.2", *options, "script.py", *words],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "SNAPSHOTS": str(tmp_path / "out"),
            "TMPDIR": str(tmp_path / "temporary"),
            **dict(environment),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


def report_of(tmp_path):
    return json.loads((tmp_path / "out" / "report.json").read_text())


POOL = """
    def main():
        method, *jobs = sys.argv[1:]
        with multiprocessing.get_context(method).Pool(2) as pool:
            pool.map(work, [job == "keeps" for job in jobs], chunksize=1)
            pool.close()
            pool.join()

    if __name__ == "__main__":
        main()
"""


@forks
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_leak_in_a_pool_is_named_for_its_worker(tmp_path, method):
    done = run(tmp_path, POOL, method, "keeps", "drops")
    assert done.returncode == 0, done.stderr
    leaking, healthy = report_of(tmp_path)["children"]  # not the server of forkserver
    assert leaking["suspects"][0]["holder"] == "__main__.LEAKED"
    assert healthy["suspects"] == []
    assert leaking["identity"]["kind"] == "multiprocessing"
    assert "PoolWorker-" in leaking["identity"]["name"]
    assert f"(multiprocessing {leaking['identity']['name']})" in done.stderr
    assert "No holder grew in 1 child process." in done.stderr
    assert "waitpid" not in done.stderr  # the server of forkserver warns of children it reaps


@forks
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_healthy_pool_is_not_accused(tmp_path, method):
    done = run(tmp_path, POOL, method, "drops", "drops")
    report = report_of(tmp_path)
    assert report["leaks"]["suspects"] == []
    assert [child["suspects"] for child in report["children"]] == [[]] * 2
    assert "No holder grew in 2 child processes." in done.stderr


@forks
def test_a_python_started_as_a_command_and_its_own_child_are_followed(tmp_path):
    body = """
        if sys.argv[1] == "main":
            subprocess.run([sys.executable, "script.py", "child"], check=True)
        elif sys.argv[1] == "child":
            subprocess.run([sys.executable, "script.py", "grandchild"], check=True)
        else:
            work(True)
    """
    run(tmp_path, body, "main")
    children = report_of(tmp_path)["children"]
    assert [len(child["suspects"]) for child in children] == [1, 0]
    assert children[0]["identity"]["parent_pid"] == children[1]["identity"]["pid"]


@forks
def test_killed_children_and_commands_of_other_languages_do_no_harm(tmp_path):
    body = """
        import signal
        killed = subprocess.Popen([sys.executable, "-c", "import time; print(1); time.sleep(60)"],
                                  stdout=subprocess.PIPE)
        killed.stdout.readline()
        killed.kill()
        assert killed.wait() == -signal.SIGKILL
        replaced = [sys.executable, "-c", "import os; os.execvp('sh', ['sh', '-c', 'exit 3'])"]
        assert subprocess.run(replaced).returncode == 3
        assert subprocess.run(["sh", "-c", "echo shell"]).returncode == 0
        sys.exit(7)
    """
    done = run(tmp_path, body)
    assert done.returncode == 7, done.stderr
    assert done.stdout == "shell\n"
    assert "Traceback" not in done.stderr
    assert report_of(tmp_path)["child_count"] == 2


@forks
def test_existing_sitecustomize_runs_and_the_child_has_the_usual_path(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import sys; sys.theirs = __name__\n")
    body = """
        code = "import sys, sitecustomize; print(sys.theirs, sitecustomize.__file__, *sys.path)"
        subprocess.run([sys.executable, "-c", code], check=True)
    """
    path = os.pathsep.join([str(tmp_path / "site"), *sys.path])
    done = run(tmp_path, body, environment={"PYTHONPATH": path}.items())
    name, file, *rest = done.stdout.split()
    assert (name, file) == ("sitecustomize", str(tmp_path / "site" / "sitecustomize.py"))
    assert not any("follow_hook" in one for one in rest)
    assert report_of(tmp_path)["child_count"] == 1


@forks
def test_error_in_an_existing_sitecustomize_is_shown_as_python_shows_it(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import there_is_none\n")
    path = os.pathsep.join([str(tmp_path / "site"), *sys.path])
    command = [sys.executable, "-c", "print(1)"]
    plain = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    with following(str(tmp_path)):
        inherited = os.environ["PYTHONPATH"].partition(os.pathsep)[0] + os.pathsep + path
        followed = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": inherited}, capture_output=True, text=True
        )
    assert "there_is_none" in plain.stderr
    assert followed.stderr == plain.stderr
    assert followed.stdout == plain.stdout


def test_environment_is_as_before_after_the_program(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "theirs")
    monkeypatch.delenv(FOLLOW_VARIABLE, raising=False)
    before = dict(os.environ)
    with following(str(tmp_path)):
        assert os.environ["PYTHONPATH"].endswith(os.pathsep + "theirs")
    assert dict(os.environ) == before


def test_environment_that_the_program_changes_stays(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with following(str(tmp_path)):
        os.environ["PYTHONPATH"] = "changed"
        del os.environ[RUN_VARIABLE]
    assert os.environ["PYTHONPATH"] == "changed"
    assert RUN_VARIABLE not in os.environ


def test_another_python_is_not_followed_and_the_report_says_so(tmp_path):
    with following(str(tmp_path)):
        settings = json.loads(os.environ[FOLLOW_VARIABLE])
        other = json.dumps({**settings, "python": ["/another", settings["python"][1]]})
        done = subprocess.run(
            [sys.executable, "-c", "import sys; print('memlens' in sys.modules)"],
            env={**os.environ, FOLLOW_VARIABLE: other},
            capture_output=True,
            text=True,
        )
    assert (done.stdout, done.stderr) == ("False\n", "")
    [note] = tmp_path.iterdir()
    assert note.stat().st_mode & 0o777 == 0o600
    reasons = not_followed(str(tmp_path))
    assert len(reasons) == 1
    assert "another Python" in reasons[0]
    assert "Not followed: 1 child process (process" in str(report_children([], [], None, reasons))
    assert list(tmp_path.iterdir()) == []


def test_the_note_of_a_child_is_not_written_through_a_link(tmp_path):
    kept = tmp_path / "kept"
    folder = tmp_path / "out"
    folder.mkdir()
    with following(str(folder)):
        settings = json.loads(os.environ[FOLLOW_VARIABLE])
        other = {**os.environ, FOLLOW_VARIABLE: json.dumps({**settings, "python": []})}
        script = """
            import os, sys
            os.symlink(sys.argv[1], f"{sys.argv[2]}/not-followed-{os.getpid()}.txt")
            os.execv(sys.executable, [sys.executable, "-c", ""])  # now with the hook
        """
        command = [sys.executable, "-S", "-c", textwrap.dedent(script), str(kept), str(folder)]
        subprocess.run(command, check=True, env=other)
    assert not kept.exists()
    assert not_followed(str(folder)) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_notes_of_other_users_are_left_alone(tmp_path):
    note = tmp_path / "not-followed-1.txt"
    note.write_text("of somebody else")
    os.chown(note, 54321, 54321)
    assert not_followed(str(tmp_path)) == []
    assert note.exists()


@forks
def test_child_that_outlives_the_run_creates_no_folder(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    script = """
        import os, shutil, sys
        from memlens.cli.run_profiler import RunProfiler

        profiler = RunProfiler(sys.argv[1], run_pid=0)
        profiler.start()
        shutil.rmtree(sys.argv[1])
        profiler._duties.worker.submit("periodic", profiler._duties._take_periodic_snapshot)
        assert profiler._duties.worker.wait(60)
        print(profiler.is_running, os.path.exists(sys.argv[1]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stdout, done.stderr) == ("False False\n", "")


def test_hook_can_be_read_by_any_python():
    from memlens.cli import follow_hook

    source = Path(follow_hook.__file__).with_name("sitecustomize.py").read_text(encoding="ascii")
    names = ("def ", "f'", 'f"', "->", ":=", "nonlocal", "async ")
    assert [name for name in names if name in source] == []


def test_run_without_the_option_leaves_the_environment_alone(tmp_path):
    (tmp_path / "script.py").write_text("import os; print(sorted(os.environ))")
    command = [sys.executable, "-m", "memlens", "run", "script.py"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert FOLLOW_VARIABLE not in done.stdout
