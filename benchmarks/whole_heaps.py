"""Whole heaps that outgrow a machine: a generator with a known truth, and what each question costs.

    python benchmarks/whole_heaps.py make DIR --nodes 100000000
    python benchmarks/whole_heaps.py ask DIR --memory 3072
    python benchmarks/whole_heaps.py ask DIR --spark 'local[2]' --driver 3g

``make`` writes two snapshots of a process to the tables nodes and edges of DIR: eight modules hold
dicts of sessions, a session holds a list of 25 orders, an order a dict with four strings and its
session; a dict holds the strings of the next order, too. A cache holds some strings, one order in
2,500 is garbage, and a chain is longer than all else. About 1.8 references a node. The earlier
snapshot has 2 % fewer sessions, 1,000 requests that are gone later, and no edges. What is true
follows from these numbers, without a search. ``ask`` answers each question in a process of its own,
compares with the truth, and prints the time and the peak of resident memory.
Needs numpy, pyarrow and the engine; memory for a few row groups.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

MODULES, ORDERS, STRINGS, CHAIN = 8, 25, 4, 40
ORDER_NODES = 2 + STRINGS
SESSION_NODES = 2 + ORDERS * ORDER_NODES
GARBAGE_EACH, CACHED_EACH, REQUESTS = 100, 10, 1000
CACHE = 1 + 2 * MODULES  # its module; its list follows, then the chain
FIRST = CACHE + 2 + CHAIN  # the first session
GROUP_SESSIONS = 6000  # in a row group: about a million nodes
FILE_GROUPS = 16
ADDRESS = 0x7F00_0000_0000
SIZES = {
    "process": 0, "module": 72, "dict": 184, "list": 256, "str": 70, "shop.LogRecord": 64,
    "shop.Session": 48, "shop.Order": 56, "shop.Request": 512,
}  # fmt: skip
TYPES = list(SIZES)
TYPE = "shop.Order"
QUESTIONS = ("heap-types", "heap-growth", "heap-holders", "heap-reach")
SNAPSHOTS = ("pod-1/7-aa/1", "pod-1/7-aa/2")
LABELS = [".items", "[0]", ".__dict__", "[<key>]"]


def sessions_of(nodes):
    return max(100, (nodes - FIRST) // SESSION_NODES)


def counts_of(sessions, requests):
    """Return the number of objects of each type in a snapshot."""
    return Counter({
        "module": MODULES + 1,
        "dict": MODULES + sessions * ORDERS,
        "list": 1 + sessions,
        "shop.LogRecord": CHAIN,
        "shop.Session": sessions,
        TYPE: sessions * ORDERS,
        "str": sessions * ORDERS * STRINGS,
        "shop.Request": requests,
    })  # fmt: skip


def each(sessions, step):
    return -(-sessions // step)


def truth_of(nodes):
    """Return the rows that each question must give, from arithmetic."""
    late = sessions_of(nodes)
    early = late - late // 50
    after, before = counts_of(late, 0), counts_of(early, REQUESTS)
    garbage, cached = each(late, GARBAGE_EACH), each(late, CACHED_EACH)
    orders = late * ORDERS - garbage
    strings = late * ORDERS * STRINGS - cached
    of_module = [
        len(range(number, late, MODULES)) * ORDERS
        - sum(1 for s in range(0, late, GARBAGE_EACH) if s % MODULES == number)
        for number in range(MODULES)
    ]
    path = f"module > dict > shop.Session > list > {TYPE}"
    return {
        "heap-types": sorted(
            [kind, count, count * SIZES[kind], 0] for kind, count in after.items() if count
        ),
        "heap-growth": sorted(
            [kind, before[kind], after[kind], max(0, after[kind] - before[kind]),
             max(0, before[kind] - after[kind]), (after[kind] - before[kind]) * SIZES[kind],
             after[kind] * SIZES[kind]]
            for kind in after
        ),
        "heap-holders": [["list", late, orders, orders]],
        "heap-reach": sorted(
            [f"module shop.m{number}", path, 4, count, count * SIZES[TYPE]]
            for number, count in enumerate(of_module)
        ),
        "kept": 2 * orders + strings,
        "kept_bytes": orders * (SIZES[TYPE] + SIZES["dict"]) + strings * SIZES["str"],
        "nodes": sum(after.values()) + 1,
    }  # fmt: skip


def process_columns(number):
    day = datetime.date(2026, 3, 2)
    moment = datetime.datetime(2026, 3, 2, 10 + number, tzinfo=datetime.UTC)
    return {
        "service": "shop", "release": "1.0", "day": day, "host": "pod-1", "process": "pod-1/7-aa",
        "kind": "main", "python": platform.python_version(), "memlens": "0", "time": moment,
        "uptime_seconds": 3600.0 * (1 + number), "snapshot": SNAPSHOTS[number],
    }  # fmt: skip


class Writer:
    """Writes one table of a snapshot in files of some row groups."""

    def __init__(self, folder, table, number):
        from memlens.tables.arrow_types import arrow_schema
        from memlens.tables.schema import table_named

        self.table = table_named(table)
        self.schema = arrow_schema(self.table)
        self.place = Path(folder) / table / "service=shop" / "day=2026-03-02" / "hosts=pod-1"
        self.place.mkdir(parents=True, exist_ok=True)
        self.number, self.files, self.groups, self.writer = number, 0, 0, None
        self.constants = process_columns(number)
        self.repeated = {}
        self.bytes = self.rows = 0

    def write(self, **columns):
        """Write a row group. The columns of the process repeat themselves."""
        import pyarrow as pa

        from memlens.tables.parquet_file import TableWriter

        count = len(next(iter(columns.values())))
        if self.writer is None:
            path = self.place / f"{self.number}-{self.files:05d}.parquet"
            self.writer = TableWriter(
                path, self.table, row_group_rows=1 << 21, row_group_bytes=1 << 30
            )
        arrays = []
        for field in self.schema:
            if field.name in columns:
                values = columns[field.name]
                values = values if isinstance(values, pa.Array) else pa.array(values)
                arrays.append(values.cast(field.type))
                continue
            known = self.repeated.get(field.name)
            if known is None or len(known) < count:
                known = pa.repeat(pa.scalar(self.constants.get(field.name), field.type), count)
                self.repeated[field.name] = known
            arrays.append(known.slice(0, count))
        self.writer.write_arrow(pa.Table.from_arrays(arrays, schema=self.schema))
        self.rows += count
        self.groups += 1
        if self.groups % FILE_GROUPS == 0:
            self.close()

    def close(self):
        if self.writer is not None:
            self.writer.close()
            self.bytes += self.writer.size_bytes
            self.files += 1
            self.writer = None


def write_nodes(folder, number, sessions):
    import numpy as np
    import pyarrow as pa

    writer = Writer(folder, "nodes", number)
    sizes = np.array(list(SIZES.values()), dtype=np.int64)

    def write(kinds, nodes, keys, roots=None):
        count = len(kinds)
        names = pa.DictionaryArray.from_arrays(pa.array(kinds, pa.int8()), pa.array(TYPES))
        writer.write(
            node=nodes, object_id=ADDRESS + keys * 64, type=names, size_bytes=sizes[kinds],
            is_native=np.zeros(count, dtype=bool), retained_bytes=pa.nulls(count, pa.int64()),
            root=pa.nulls(count, pa.string()) if roots is None else pa.array(roots, pa.string()),
        )  # fmt: skip

    code = TYPES.index
    head = np.array([
        code("process"), *[code("module")] * MODULES, *[code("dict")] * MODULES,
        code("module"), code("list"), *[code("shop.LogRecord")] * CHAIN,
    ])  # fmt: skip
    roots = [None, *(f"module shop.m{n}" for n in range(MODULES)), *[None] * MODULES]
    roots += ["module shop.cache", *[None] * (1 + CHAIN)]
    numbers = np.arange(FIRST, dtype=np.int64)
    write(head, numbers, numbers, roots)
    order = [code(TYPE), code("dict"), *[code("str")] * STRINGS]
    block = np.array([code("shop.Session"), code("list"), *order * ORDERS])
    for start in range(0, sessions, GROUP_SESSIONS):
        count = min(GROUP_SESSIONS, sessions - start)
        first = FIRST + start * SESSION_NODES
        nodes = np.arange(first, first + count * SESSION_NODES, dtype=np.int64)
        write(np.tile(block, count), nodes, nodes)
    if number == 0:
        nodes = np.arange(REQUESTS, dtype=np.int64) + FIRST + sessions * SESSION_NODES
        write(np.full(REQUESTS, code("shop.Request")), nodes, nodes + (1 << 33))
    writer.close()
    return writer


def write_edges(folder, sessions):
    import numpy as np
    import pyarrow as pa

    writer = Writer(folder, "edges", 1)
    bases = FIRST + np.arange(sessions, dtype=np.int64) * SESSION_NODES

    def write(source, target, label):
        labels = pa.DictionaryArray.from_arrays(pa.array(label, pa.int8()), pa.array(LABELS))
        writer.write(source=source, target=target, label=labels)

    chain = np.arange(CACHE + 1, FIRST)
    modules = np.arange(1, 1 + MODULES)
    cached = bases[::CACHED_EACH] + 4
    pairs = [
        (np.zeros(MODULES + 1, dtype=np.int64), np.array([*modules, CACHE])),
        (modules, modules + MODULES),
        *((np.full(len(held), 1 + MODULES + n), held)
          for n in range(MODULES) for held in [bases[n::MODULES]]),
        (np.array([CACHE]), np.array([CACHE + 1])),
        (np.full(len(cached), CACHE + 1), cached),
        (chain[:-1], chain[1:]),
    ]  # fmt: skip
    head = [np.concatenate([pair[side] for pair in pairs]) for side in (0, 1)]
    write(*head, np.full(len(head[0]), 3))
    sources, targets, labels = session_edges(np)
    position = int(np.flatnonzero((sources == 1) & (targets == 2 + (ORDERS - 1) * ORDER_NODES))[0])
    for start in range(0, sessions, GROUP_SESSIONS):
        block = bases[start : start + GROUP_SESSIONS, None]
        keep = np.ones((len(block), len(sources)), dtype=bool)
        keep[(np.arange(start, start + len(block)) % GARBAGE_EACH) == 0, position] = False
        keep = keep.ravel()
        write(
            (block + sources).ravel()[keep],
            (block + targets).ravel()[keep],
            np.tile(labels, len(block))[keep],
        )
    writer.close()
    return writer


def session_edges(np):
    """Return sources and targets of the references of a session, from its own number, and labels."""
    edges = [(0, 1, 0)]
    orders = [2 + number * ORDER_NODES for number in range(ORDERS)]
    edges += [(1, order, 1) for order in orders]
    for number, order in enumerate(orders):
        following = orders[(number + 1) % ORDERS]
        edges += [(order, order + 1, 2), (order, 0, 0)]
        for held in (order, following):
            edges += [(order + 1, held + 2 + string, 3) for string in range(STRINGS)]
    return np.array(edges, dtype=np.int64).T


def make(folder, nodes):
    """Write the tables; return the truth. ``nodes``: of the later snapshot, about."""
    late = sessions_of(nodes)
    start = time.perf_counter()
    writers = [
        write_nodes(folder, 0, late - late // 50),
        write_nodes(folder, 1, late),
        write_edges(folder, late),
    ]
    truth = truth_of(nodes)
    (Path(folder) / "truth.json").write_text(json.dumps(truth))
    print(
        f"made {writers[0].rows:,} and {writers[1].rows:,} nodes"
        f" ({(writers[0].bytes + writers[1].bytes) / 1e9:.2f} GB), {writers[2].rows:,} edges"
        f" ({writers[2].bytes / 1e9:.2f} GB) in {time.perf_counter() - start:.0f} s,"
        f" peak {peak_mib():,.0f} MiB"
    )
    return truth


def peak_mib(pid="self"):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def answer_in_duckdb(folder, question, memory):
    from memlens.fleet.duckdb_engine import DuckDBEngine
    from memlens.fleet.whole_heaps import heap_answer
    from memlens.tables.table_folder import list_tables

    with DuckDBEngine(list_tables(folder), memory_bytes=memory << 20) as engine:
        answer = heap_answer(engine, question, **options_of(question))
    return answer, peak_mib()


def answer_in_spark(folder, question, master, driver):
    from pyspark.sql import SparkSession

    from memlens.fleet.spark import answer

    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    session = (
        SparkSession.builder.master(master)
        .config("spark.driver.memory", driver)
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", str(shuffle_partitions(folder)))
        .config("spark.log.level", "ERROR")
        .config("spark.local.dir", str(Path(folder) / "scratch"))
        .getOrCreate()
    )
    found = answer(session, folder, question, **options_of(question))
    peak = sum(peak_mib(pid) for pid in java_children())
    session.stop()
    return found, peak


def shuffle_partitions(folder):
    """Return how many partitions a shuffle has: about four million edges in each."""
    nodes = json.loads((Path(folder) / "truth.json").read_text())["nodes"]
    return max(2, nodes // 2_000_000)


def java_children():
    import psutil

    return [c.pid for c in psutil.Process().children(recursive=True) if "java" in c.name()]


def options_of(question):
    if question == "heap-growth":
        return {}
    return {"snapshot": SNAPSHOTS[1], "type_name": TYPE}


def check(answer, truth):
    """Exit unless an answer is true."""
    found = sorted(list(row) for row in answer.rows)
    if found != truth[answer.question]:
        sys.exit(f"wrong: {answer.question} gave {found}, the truth is {truth[answer.question]}")
    if answer.question == "heap-reach" and f"keep {truth['kept']:,} objects" not in answer.sentence:
        sys.exit(f"wrong: {answer.sentence} They keep {truth['kept']:,}.")


def ask_one(folder, question, arguments):
    start = time.perf_counter()
    if arguments.spark:
        answer, peak = answer_in_spark(folder, question, arguments.spark, arguments.driver)
    else:
        answer, peak = answer_in_duckdb(folder, question, arguments.memory)
    seconds = time.perf_counter() - start
    check(answer, json.loads((Path(folder) / "truth.json").read_text()))
    engine = f"Spark {arguments.spark}" if arguments.spark else f"DuckDB {arguments.memory} MiB"
    print(f"{engine:18} {question:13} {seconds:8.1f} s   peak {peak:7,.0f} MiB   true", flush=True)


def ask(folder, arguments):
    """Answer each question in a child, so that each has a peak of its own."""
    for question in arguments.question or QUESTIONS:
        subprocess.run([sys.executable, *sys.argv, "--in-child", question], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("make", "ask"))
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument(
        "--memory", type=int, default=3072, metavar="MIB", help="the limit of DuckDB"
    )
    parser.add_argument("--spark", metavar="MASTER", help="ask Spark instead of DuckDB")
    parser.add_argument("--driver", default="3g", help="the memory of Spark's driver")
    parser.add_argument("--question", action="append", choices=QUESTIONS)
    parser.add_argument("--in-child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.what == "make":
        make(arguments.folder, arguments.nodes)
    elif arguments.in_child:
        ask_one(arguments.folder, arguments.in_child, arguments)
    else:
        ask(arguments.folder, arguments)


if __name__ == "__main__":
    main()
