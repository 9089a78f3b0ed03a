"""Rules for places of the standard library, and of memlens.structures, that keep what they get."""

from __future__ import annotations

import re

from memlens.leaks.patterns.case import Case, Diagnosis

__all__ = ("standard_places",)

_REGISTRY, _CACHE, _LISTENERS = "registry", "unbounded-cache", "listener-accumulation"

# Where the path matches: the pattern, what happens there, and what to do.
_PLACES: tuple[tuple[str, str, str, str], ...] = (
    (
        r"\.loggerDict$",
        _REGISTRY,
        "logging.getLogger keeps every name that it was ever given: loggers are never freed",
        "Take one logger per module, and put what changes (request, user, job) into the message,"
        " into extra=... or a logging.LoggerAdapter.",
    ),
    (
        r"finalize\._registry",
        _REGISTRY,
        "weakref.finalize keeps each finaliser, with its function and arguments, until its object"
        " goes",
        "The arguments or the function must not refer to the object itself: then it never goes."
        " Give it a static function and plain values, or call detach() when done.",
    ),
    (
        r"^linecache\.(cache|lazycache|_interactive_cache)",
        _CACHE,
        "linecache keeps the source of every file name that a traceback or inspect asked for; code"
        " compiled at run time has ever new names",
        "Compile under one constant file name, or call linecache.checkcache() or"
        " linecache.clearcache() now and then.",
    ),
    (
        r"__warningregistry__",
        _CACHE,
        "each warning with a text not seen before is remembered here, to be shown only once",
        "Warn with a constant text, without ids or values in it; or set an 'ignore' or 'always'"
        " filter for this warning, which does not remember.",
    ),
    (
        r"^(<interpreter: )?sys\.modules>?$",
        _REGISTRY,
        "modules are imported or made under ever new names, and sys.modules keeps them",
        "Load generated code under one name, or run it in a plain dict with exec; delete"
        " sys.modules[name] when a plugin is unloaded.",
    ),
    (
        r"^(<interpreter: )?warnings\.filters>?$",
        _REGISTRY,
        "warnings.filters gains an entry each time a filter is set",
        "Set filters once at the start, or inside warnings.catch_warnings().",
    ),
    (
        r"^(<interpreter: )?gc\.callbacks>?$",
        _LISTENERS,
        "gc.callbacks gains callbacks and loses none",
        "Register one callback, and remove it when it is no longer needed.",
    ),
    (
        r"^(<interpreter: )?atexit[.\[>]|multiprocessing\.util\._finalizer_registry",
        _REGISTRY,
        "callbacks for the end of the process pile up while it lives",
        "Register one callback over a weakref.WeakSet of the objects, or take each back with"
        " atexit.unregister when its object is closed.",
    ),
    (
        r"^threading\.(_active|_limbo|_shutdown_locks|_dangling)",
        _REGISTRY,
        "threads are started and do not end",
        "Let them end (an event that they look at), or use one concurrent.futures pool.",
    ),
    (
        r"\.(_mock_)?(mock_calls|call_args_list|method_calls|_mock_children)$",
        _REGISTRY,
        "a mock records every call, with its arguments",
        "Call reset_mock(), or use a plain stub where calls need not be looked at.",
    ),
    (
        r"\._loans\.by_id$",
        _REGISTRY,
        "objects of a pool are taken and not given back",
        "Take them by `with pool.lease() as ...`, or call pool.release(...) in a finally block."
        " pool.unreleased() says which are out, since when and who took them.",
    ),
)


def standard_places(case: Case) -> Diagnosis | None:
    """A table of the standard library or of a pool, known by where it is."""
    text = str(case.path)
    for place, pattern, evidence, suggestion in _PLACES:
        if re.search(place, text):
            return Diagnosis(pattern, evidence, suggestion + case.where())
    if case.subject_type.startswith("hamt") or case.subject_type.endswith("Context"):
        return Diagnosis(
            _REGISTRY,
            "context variables that are made at run time stay in every context that has set them",
            "Make each contextvars.ContextVar once, at the top of a module, and reset it with the"
            f" token that set() gave.{case.where()}",
        )
    return None
