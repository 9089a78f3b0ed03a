"""The programs of the zoo, with what a right diagnosis says of each.

The numbers of the classes of failure:

1. The holder comes after the first snapshot: a local of main(), a cell, an instance, a class.
2. Much comes and goes, and nothing grows.
3. What grows in place is emptied between snapshots; nothing of it survives.
4. A value is replaced by a longer one.
5. Growth that is rare and heavy.
6. One place in many objects, frames, closures or coroutines.
7. The holder is of the interpreter or the standard library, and its cause has a name.
8. Registries whose growing type tells the cause.
9. Warm-up over several intervals.
10. Growth that no object explains.
11. The code to look at is not where the holder lives.
13. Imports.
14. Two snapshots only.
17. Queues between tasks and between threads.
0. Any other leak.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ("FORMS", "PROGRAMS", "ROWS", "Case", "Row", "cases")

PROGRAMS = Path(__file__).with_name("programs")
FORMS = ("snapshots", "two", "run", "profiler")

Verdict = Literal["leak", "healthy", "unexplained"]

USUAL = ("snapshots", "run", "profiler")
WITH_TWO = FORMS
KEPT = ("unbounded-cache", "registry")
CALLBACKS = ("listener-accumulation", "registry", "closure-capture")


@dataclass(frozen=True, slots=True)
class Row:
    """A program with what a right diagnosis says of it.

    ``holders``: regular expressions, one of which must match the first suspect's holder;
    ``anywhere``: or its path. ``types``: names without a module, one of which must be among the
    growing types. ``patterns``: the accepted ones. ``site``: a regular expression for the code to
    look at. ``once``: only one of the first suspects may match, as the place is one in many objects.
    ``baseline``: in the form "snapshots", the first is taken when the program is warm, or
    before it starts. ``needs``: a package without which the program is left out. ``native_bytes``:
    how much native memory each element holds that the first suspect gained.
    """

    name: str
    verdict: Verdict
    classes: tuple[int, ...]
    holders: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    forms: tuple[str, ...] = USUAL
    baseline: Literal["warm", "start"] = "warm"
    anywhere: bool = False
    once: bool = False
    site: str | None = None
    needs: str | None = None
    native_bytes: int | None = None

    @property
    def has_twin(self) -> bool:
        """Whether the program without its leak is judged as well."""
        return self.verdict != "healthy"


@dataclass(frozen=True, slots=True)
class Case:
    """A program as it runs: with its leak, or as its healthy twin."""

    row: Row
    twin: bool

    @property
    def name(self) -> str:
        """The name of the row, with ``~`` for the twin."""
        return f"{self.row.name}~" if self.twin else self.row.name

    @property
    def leaks(self) -> bool:
        """Whether a suspect is expected."""
        return self.row.verdict == "leak" and not self.twin


def cases() -> Iterator[Case]:
    """Yield each program, and its healthy twin right after it."""
    for row in ROWS:
        yield Case(row, twin=False)
        if row.has_twin:
            yield Case(row, twin=True)


def leak(
    name: str,
    classes: int | tuple[int, ...],
    holder: str | tuple[str, ...],
    types: str,
    patterns: str | tuple[str, ...] = KEPT,
    **options,
) -> Row:
    """Make the row of a leak; ``types`` are separated by blanks."""
    return Row(
        name,
        "leak",
        classes if isinstance(classes, tuple) else (classes,),
        holder if isinstance(holder, tuple) else (holder,),
        tuple(types.split()),
        patterns if isinstance(patterns, tuple) else (patterns,),
        **options,
    )


def healthy(name: str, *classes: int, **options) -> Row:
    """Make the row of a program that has no leak."""
    return Row(name, "healthy", classes, **options)


def unexplained(name: str, **options) -> Row:
    """Make the row of growth for which no holder may be blamed."""
    return Row(name, "unexplained", (10,), **options)


START = {"baseline": "start"}

# fmt: off
ROWS: tuple[Row, ...] = (
    # 1. Holders that come after the first snapshot.
    leak("main_local_cache", (1, 14), r"\bcache\b", "Page", baseline="start", forms=WITH_TWO),
    leak("etl_rejected_rows", 1, r"\brejected\b", "dict", **START),
    leak("closure_memo", 1, r"\bmemo\b", "list tuple", **START),
    leak("service_sessions", (1, 14), r"\bsessions\b", "Session", forms=WITH_TWO, **START),
    leak("plugin_instances", 1, r"\bPlugin\.instances\b", "Plugin", **START),
    leak("late_module_list", 1, r"\blate_reports\.RENDERED\b", "Report", **START),
    leak("thread_local_variable", 1, r"\boutcomes\b", "Outcome", **START),
    leak("generator_dedup", 1, r"\bseen\b", "str", **START),
    leak("coroutine_pending", 1, r"\bundelivered\b", "Message", **START),
    leak("router_cache", 1, r"\bmatches\b", "Match", **START),
    leak("second_phase_index", 1, r"\bindex\b", "list str", **START),
    # 4. Values that are replaced by longer ones.
    leak("tuple_trace", (4, 14), r"\btrace\b", "Event tuple", forms=WITH_TWO),
    leak("bytes_concatenated", 4, r"\bCONNECTION\.received\b", "bytes"),
    leak("numpy_append", 4, r"\bsamples\b", "ndarray", needs="numpy"),
    leak("frozenset_union", 4, r"\bPolicy\.granted\b", "str frozenset"),
    leak("text_transcript", 4, r"\btranscript\b", "str"),
    leak("array_concatenated", 4, r"\bRECORDING\.wave\b", "array"),
    leak("dataframe_concat", 4, r"\bframe\b", "DataFrame ndarray", needs="pandas"),
    leak("merged_settings", 4, r"\btenants\b", "list str float dict"),
    leak("state_reducer", 4, (r"\bnotifications\b", r"\bstate\b"), "dict list"),
    # 5. Rare and heavy growth.
    leak("rare_heavy_models", 5, r"\bMODELS\b", "bytes"),
    leak("rare_heavy_images", 5, r"\bsaves\b", "bytearray"),
    leak("rare_heavy_frames", 5, r"\bcapture\.scenes\b", "Scene"),
    healthy("one_time_loads", 5),
    healthy("model_reloads", 5),
    # 6. One place in many objects.
    leak("set_of_rooms", 6, r"\bROOMS\b.*\bmessages\b", "Message", once=True),
    leak("coroutine_histories", 6, (r"\bsession\b.*\bhistory\b", r"\bhistory\b.*\bsession\b"),
         "tuple", once=True),
    leak("handler_closures", 6, r"\bcalls\b", "Call", once=True),
    leak("user_histories", (6, 1), r"\busers\b.*\bhistory\b", "Order", **START, once=True),
    leak("thread_pool_results", 6, (r"\bwork\b.*\bresults\b", r"\bresults\b.*\bwork\b"),
         "Result", once=True),
    leak("generator_windows", 6, (r"\bsensors\b.*\bwindow\b", r"\bsmoothed\b.*\bwindow\b"),
         "Sample", once=True),
    leak("connection_buffers", 6, r"\bconnections\b.*\bbuffer\b", "bytearray", once=True),
    # 7. Causes in the standard library that have a name.
    leak("pending_timers", 7, (r"\bthreading\._active\b", r"\bTimer\b"), "Timer Request",
         ("registry", "listener-accumulation", "unbounded-cache")),
    leak("threads_that_wait", 7, (r"\bthreading\._active\b", r"\bnever\b", r"\bwork\b"),
         "Thread bytes", ("registry", "unbounded-cache")),
    leak("thread_locals", 7, (r"\b__main__\.local\b", r"\brows\b"), "Row"),
    leak("context_variables", 7, r"[cC]ontext", "RequestState ContextVar"),
    leak("context_stack", (7, 4), (r"\bSPANS\b", r"\bspans\b", r"[cC]ontext"), "Span tuple"),
    leak("unfinished_tasks", 7, (r"\bbackground\b", r"\bnever\b", r"\b_waiters\b"), "Task Future",
         ("registry", "listener-accumulation", "unbounded-cache")),
    leak("delayed_calls", 7, r"\b_scheduled\b", "TimerHandle Lease",
         ("registry", "listener-accumulation", "unbounded-cache")),
    leak("waiters_on_future", 7, (r"\bconfig\b", r"\b_callbacks\b"),
         "tuple function builtin_function_or_method Task", ("listener-accumulation", "registry")),
    # 8. Types that tell the cause.
    leak("generated_classes", 8, r"\bSCHEMAS\b", "type", ("registry", "unbounded-cache")),
    leak("fork_handlers", 8, (r"fork", r"held by native code", r"native code"), "method Client",
         ("native-holder", "listener-accumulation", "registry")),
    leak("exit_handlers", 8, (r"atexit", r"native code"), "method Workspace",
         ("native-holder", "listener-accumulation", "registry")),
    leak("signal_receivers", 8, r"\bmodel_saved\.receivers\b", "method View tuple",
         "listener-accumulation"),
    leak("subclass_registry", 8, r"\bRule\.known\b", "type", "registry"),
    leak("finalizers", 8, r"\bfinalize\._registry\b", "_Info finalize Cursor", "registry"),
    leak("dynamic_loggers", 8, r"\bloggerDict\b", "Logger"),
    leak("warning_texts", 8, r"__warningregistry__", "tuple str bool", KEPT),
    leak("dispatch_registry", 8, r"\bregistry\b", "function type"),
    leak("logging_handlers", 8, r"\bhandlers\b", "StreamHandler", CALLBACKS),
    leak("mock_in_production", 8, (r"mock_calls\b", r"call_args_list\b", r"\bmethod_calls\b"),
         "_Call", "registry"),
    leak("generated_modules", 8, r"\bsys\.modules\b", "module", "registry"),
    leak("exit_stack", 8, r"\b_exit_callbacks\b", "tuple method Lock",
         ("listener-accumulation", "registry")),
    # 10. Growth that no object explains.
    unexplained("malloc_never_freed"),
    unexplained("uncounted_bytes"),
    leak("uncounted_objects", 10, r"native code.*\bRequest\b", "Request", "native-holder"),
    # 11. Registrations through a library.
    leak("bus_subscriptions", 11, r"\b_SUBSCRIBERS\b", "method Order", CALLBACKS,
         site=r"\btake_order\b|bus_subscriptions\.py"),
    leak("library_store", 11, r"\bstore\._ENTRIES\b", "Thumbnail",
         site=r"\bmake_thumbnail\b|library_store\.py"),
    leak("audit_events", 11, r"\baudit\.EVENTS\b", "Event", site=r"\blogin\b"),
    # 17. Queues.
    leak("asyncio_queue_backlog", (17, 1), (r"\bqueue\b.*\b_queue\b", r"\bqueue\b"), "Upload",
         **START),
    leak("queue_slow_consumer", 17, r"\bshipper\.queue\b", "Line"),
    leak("finished_asyncio_tasks", (17, 1), r"\btasks\b", "Task", "detached", **START),
    leak("websocket_hub", 17, r"\boutboxes\b", "Queue tuple", ("registry", "unbounded-cache")),
    # Other leaks.
    leak("kept_exceptions", (0, 14), r"\bfailures\b", "ValueError", "exception-traceback",
         forms=WITH_TWO),
    leak("raised_again", 0, r"\bUNAVAILABLE\b", "traceback frame", "exception-traceback"),
    leak("error_chain", 0, r"\blast_error\b", "RuntimeError", ("exception-traceback", "chain")),
    leak("cached_method", (0, 14), r"\bInvoice\.total\b", "Invoice tuple list", "unbounded-cache",
         forms=WITH_TWO),
    leak("cached_function", 0, r"\bparse\b", "Statement", "unbounded-cache"),
    leak("cache_on_instance", (0, 1), r"\blookup\b", "dict", "unbounded-cache", **START),
    leak("cycles_without_collector", 0, r"garbage", "Element", "cycle"),
    leak("captured_documents", 0, r"\bcallbacks\b", "function", "closure-capture"),
    leak("memo_by_arguments", 0, r"\bmemo\b", "list tuple", "unbounded-cache"),
    leak("token_buckets", 0, r"\bbuckets\b", "list str float", KEPT),
    leak("visits_by_user", 0, r"\bvisits\b", "list Visit"),
    leak("visits_of_known_users", (0, 6), r"\bby_user\b", "Visit", once=True),
    leak("nested_catalogue", (0, 1), r"\bcatalogue\b", "Measurement", **START),
    leak("finished_futures", 0, r"\bsubmitted\b", "Future", "detached"),
    leak("subprocess_results", 0, r"\bresults\b", "CompletedProcess"),
    leak("sqlite_rows", 0, r"\brepository\b.*\.rows\b", "list", "unbounded-cache", **START),
    leak("mutable_default", 0, r"\bcollect\b", "Item"),
    leak("base_class_cache", 0, r"\bModel\.cache\b", "Customer Order"),
    leak("stock_observers", 0, r"\b_observers\b", "method Widget", "listener-accumulation"),
    leak("undo_history", 0, r"\bundo_steps\b", "Step"),
    leak("metric_labels", 0, r"\bLATENCY\._children\b", "Child"),
    leak("pending_acks", 0, r"\bunacked\b", "Delivery"),
    leak("weak_keys_pinned", 0, r"\bstatistics\b", "Statistics", "registry"),
    leak("tee_lag", 0, (r"\bslow\b", r"\btee\b", r"\b_tee"), "_tee_dataobject tuple",
         ("chain", "registry", "unbounded-cache")),
    leak("unconsumed_pipelines", 0, r"\bimporter\.pipelines\b", "generator"),
    leak("version_chain", 0, r"\bDOCUMENT\.current\b", "Version", "chain"),
    leak("tail_linked_list", 0, r"\blog\b.*\bhead\b", "Entry", "chain"),
    leak("search_tree", 0, r"\bTREE(\.root)?(?!\.)\b", "Node",
         ("chain", "registry", "unbounded-cache")),
    leak("word_trie", 0, r"\btrie\b", "dict", ("chain", "registry", "unbounded-cache")),
    leak("sorted_prices", 0, r"\bquotes\b", "Quote"),
    leak("intern_table", 0, r"\binterned\b", "str", "unbounded-cache"),
    leak("json_documents", 0, r"\bdocuments\b", "dict"),
    leak("captured_output", 0, r"\bcapture\.output\b", "StringIO", "unbounded-cache"),
    leak("sample_array", 0, r"\bsamples\b", "array", "unbounded-cache"),
    leak("recent_events_deque", 0, r"\brecent\b", "Event"),
    leak("trail_bytearray", 0, r"\btrail\b", "bytearray", "unbounded-cache"),
    leak("shop_carts", 0, r"\bcarts\b", "Cart"),
    leak("job_heap", 0, r"\bheap\b", "tuple Job"),
    leak("seen_ids", 0, r"\bseen_ids\b", "str"),
    leak("agent_counter", 0, r"\bagents\b", "str int", "unbounded-cache"),
    leak("wrapped_handler", 0, r"\bhandler\b", "function cell", ("chain", "closure-capture")),
    leak("scope_chain", 0, r"\bscope\b", "Scope", "chain"),
    leak("mapped_files", 0, r"\bmaps\b", "mmap", native_bytes=40_000),
    leak("ctypes_frames", 0, r"\bframes\b", "c_ubyte_Array_40000", native_bytes=40_000),
    leak("map_tiles", 0, r"\btiles\b", "mmap", native_bytes=40_000),
    leak("generated_sources", 0, r"\blinecache\.cache\b", "tuple", "unbounded-cache"),
    leak("response_promises", 0, r"\bpending\b", "tuple Future",
         ("detached", "registry", "unbounded-cache")),
    leak("callback_list_of_partials", 0, r"\bshutdown_hooks\b", "partial",
         ("listener-accumulation", "closure-capture")),
    # 2. Much comes and goes.
    healthy("sessions_come_and_go", 2),
    healthy("own_eviction", 2),
    healthy("sliding_window", 2),
    healthy("bounded_counters", 2),
    healthy("lru_ring", 2),
    healthy("regular_expressions", 2),
    healthy("best_offers_heap", 2),
    healthy("deque_with_maxlen", 2),
    healthy("expiring_dict", 2),
    healthy("weak_value_cache", 2),
    healthy("replaced_slots", 2),
    healthy("tasks_come_and_go", 2),
    healthy("threads_come_and_go", 2),
    healthy("random_walk_population", 2),
    healthy("healthy_service", 2, forms=WITH_TWO),
    # 3. Buffers that are emptied.
    healthy("batch_list", 3),
    healthy("measured_batches", 3),
    healthy("flushed_stream", 3),
    healthy("memory_handler", 3),
    healthy("group_commit", 3),
    healthy("parser_buffer", 3),
    healthy("pending_rows_drained", 3),
    healthy("double_buffer", 3),
    # 9. Warm-up.
    healthy("lru_cache_fills", 9),
    healthy("cap_in_attribute", 9),
    healthy("connection_pool", 9),
    healthy("typing_overloads", 9),
    healthy("finite_memo", 9),
    healthy("interned_vocabulary", 9),
    healthy("templates_compiled", 9),
    healthy("thread_pool_warms_up", 9),
    healthy("jit_like_specialisation", 9),
    healthy("first_requests", 9, baseline="start"),
    # 13. Imports.
    healthy("lazy_imports", 13, 9),
    healthy("imports_of_a_web_stack", 13, 14, forms=WITH_TWO),
    healthy("imports_of_a_test_stack", 13, 14, forms=WITH_TWO),
    healthy("plugin_discovery", 13, 9),
)
# fmt: on
