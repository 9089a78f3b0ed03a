"""Starts the profiler of ``memlens run --follow-children`` in a Python that the program started.

``site`` imports this module at the start of each Python that has its folder on PYTHONPATH. The module
takes its folder off ``sys.path``, runs the ``sitecustomize`` that it hid, and then starts to follow.
Pythons of any version may read it: there is no syntax of a later version, and what fails is written
to the folder of the run, not to the streams of the program.
"""

import os
import sys

__all__ = ()

if __name__ == "sitecustomize":  # not for tools that import all modules of memlens
    _folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [_one for _one in sys.path if os.path.abspath(_one) != _folder]
    sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401  # theirs; may be missing
    finally:
        _settings = os.environ.get("MEMLENS_FOLLOW")
        if _settings:
            try:
                import json

                _wanted = json.loads(_settings)
                _reason = ""
                if _wanted["python"] == [sys.prefix, sys.version]:
                    sys.path += [_one for _one in _wanted["path"] if _one not in sys.path]
                    from memlens.cli.followed import follow

                    follow(_wanted)
                else:
                    _reason = "it is another Python: " + sys.executable
            except Exception as _error:  # noqa: BLE001 - the program goes on without a profiler
                _reason = type(_error).__name__ + ": " + str(_error)
            if _reason:
                _note = os.path.join(_wanted["folder"], "not-followed-%d.txt" % os.getpid())  # noqa: UP031
                try:  # private, and through no link that somebody has planted
                    _flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
                    with os.fdopen(os.open(_note, _flags, 0o600), "w") as _file:
                        _file.write(_reason)
                except (OSError, IOError):  # noqa: UP024 - the run has ended
                    pass
