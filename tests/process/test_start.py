"""The token of a process, also where the system can hardly be asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import memlens
from memlens.process.start import UNKNOWN_TOKEN, process_token

ROOT = Path(memlens.__file__).resolve().parent.parent


def test_a_process_has_one_token_for_its_life_and_a_dead_one_has_none():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    token = process_token(child.pid)
    assert token not in (None, UNKNOWN_TOKEN) and process_token(child.pid) == token
    child.communicate()
    assert process_token(child.pid) is None


def test_where_all_descriptors_are_in_use_the_token_is_unknown():
    script = f"""if True:
        import os, resource, sys
        sys.path.insert(0, {str(ROOT)!r})
        import psutil
        from memlens.process.start import UNKNOWN_TOKEN, process_token
        resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
        taken = []
        try:
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        os.write(1, str((process_token(os.getpid()), UNKNOWN_TOKEN)).encode())
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == str((UNKNOWN_TOKEN, UNKNOWN_TOKEN))
