"""The layout of a captured heap: what the core gives, what a snapshot file stores.

A captured heap is a mapping from section name to a flat buffer of fixed-width integers. Both core
implementations produce it, the file stores it section by section, ``heap.graph`` reads it. This
module is the one place that says what each section means.

**Nodes.** Node 0 is not an object: it is the process itself, the parent of every root (address 0,
type 0, size 0). All other nodes are objects, in depth-first discovery order. Columns, by node:

- ``node_address``  u64  the object's ``id()``
- ``node_type``     u32  row in the type table
- ``node_size``     u64  shallow size in bytes: with the collector's header and owned buffers
- ``node_flags``    u16  bits of `NodeFlag`

**Edges**, as compressed rows: the edges of node ``v`` are ``edge_offset[v] : edge_offset[v + 1]``.

- ``edge_offset``   u64  one more entry than there are nodes
- ``edge_target``   u32  node
- ``edge_label``    u32  ``payload << LABEL_BITS | EdgeKind``; the payload is a position for
  ``EdgeKind.INDEX`` and a string number otherwise (string 0 is "": no name known)

**Types**: ``type_name`` u32 (string: ``module.qualname``; of built-in types ``qualname`` alone:
``dict``), ``type_node`` u32 (node of the type object, `NONE` for type 0, the process).

The names that a code object uses (``co_names``) are labelled ``INTERNAL`` with themselves, so that
a reader finds the code that mentions a name.

**Roots**: root ``i`` is edge ``i`` of node 0. ``root_kind`` u8 (`RootKind`), ``root_name`` u32
(string), ``root_count`` u64 (references that nothing in the heap explains, for ``EXTERNAL``; else
0), ``root_frame`` u32 (row in the frame table for ``FRAME``, else `NONE`).

**Frames**, the running ones: ``frame_thread`` u64 (thread identifier), ``frame_function`` u32,
``frame_file`` u32 (strings), ``frame_line`` u32, ``frame_depth`` u32 (0 is the innermost).

**Sparse columns**, sorted by node:

- ``container_node`` u32, ``container_length`` u64, ``container_bound`` u64 (`NO_BOUND` when it
  states none): the length of sized built-in containers, and their ``maxlen`` or ``maxsize``
- ``name_node`` u32, ``name_text`` u32, ``name_file`` u32, ``name_line`` u32: the qualified name of
  modules, types, functions and code objects, and where they are defined (string 0, line 0: unknown)
- ``value_node`` u32, ``value_text`` u32: the text of strings, bytes and numbers, shortened; only
  where the caller asked for values
- ``equal_node`` u32, ``equal_group`` u32 (optional): strings and bytes (exactly of these types)
  with equal contents; groups are numbered from 0, and have at least two members

**Allocation sites** (`SITE_SECTIONS`), only in a heap captured while allocations were sampled. By
block, not by node, so that they need no captured heap: who forks writes them down before. Sampled
blocks, sorted by address: ``site_address`` u64, ``site_size`` u64 (bytes asked for),
``site_weight`` f64 (how many blocks like it the sample stands for), ``site_stack`` u32. The frames
of stack ``s``, innermost first, are ``site_stack_frame[site_stack_offset[s] : site_stack_offset[s +
1]]`` (u32), rows of ``site_function`` u32, ``site_file`` u32, ``site_line`` u32 (0: unknown); their
strings are in ``site_string_offset`` u64 and ``site_string_bytes``, as below. An object begins 0,
16, 32 or 48 bytes into its block.

**Strings**: ``string_offset`` u64 (one more entry than there are strings) into ``string_bytes``,
UTF-8 (with ``surrogatepass``).

**Derived**, in files, from the columns above: ``node_dominator`` u32 and ``node_retained`` u64 by
node, what `memlens._core.dominator_tree` gives, and ``node_largest`` u32, the nodes with the largest
retained sizes, largest first, garbage and memlens's own left out (`LARGEST_STORED` of them, or all).
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

__all__ = (
    "DERIVED_SECTIONS",
    "LABEL_BITS",
    "LARGEST_STORED",
    "MAX_PAYLOAD",
    "NONE",
    "NO_BOUND",
    "OPTIONAL_SECTIONS",
    "SECTIONS",
    "SITE_SECTIONS",
    "EdgeKind",
    "NodeFlag",
    "RootKind",
)

NONE = 0xFFFF_FFFF
NO_BOUND = 0xFFFF_FFFF_FFFF_FFFF
LABEL_BITS = 3
LARGEST_STORED = 1000
MAX_PAYLOAD = (1 << (32 - LABEL_BITS)) - 1


class EdgeKind(IntEnum):
    """What an edge is called in its source object."""

    INTERNAL = 0  # a field of the implementation: ``__closure__``, ``__class__``, ``tb_next``
    ATTRIBUTE = 1  # ``.name``: of an instance, a class, a module, or an entry of their ``__dict__``
    KEY = 2  # ``[key]``: the value stored under a key
    INDEX = 3  # ``[3]``: the payload is the position
    LOCAL = 4  # a local variable of a frame, generator or coroutine
    CELL = 5  # a variable that a function closes over
    WEAK = 6  # a weak reference: keeps nothing alive, left out of dominators and paths
    ITEM = 7  # an element without a name: a member of a set, a key of a dict


class RootKind(IntEnum):
    """Why an object is alive without being referred to by another object. Best names first."""

    MODULE = 1  # an entry of ``sys.modules``; the name is the module's
    FRAME = 2  # a running frame of a thread
    INTERPRETER = 3  # held by the interpreter itself; the name says by what
    STATIC_TYPE = 4  # a type that lives outside the heap
    INTERNED = 5  # an interned string
    IMMORTAL = 6  # never freed by the interpreter
    EXTERNAL = 7  # more references than the heap explains: native code, or a running frame's local


class NodeFlag(IntFlag):
    """Facts about one object."""

    TRACKED = 1  # known to the garbage collector
    GARBAGE = 2  # no root reaches it: the next full collection would free it
    IMMORTAL = 4  # its reference count means nothing
    NAMESPACE = 8  # a dict that is the ``__dict__`` of a module, a class or an instance
    FINISHED = 16  # a closed file or socket, a finished task, thread, generator or coroutine
    OWN = 32  # belongs to memlens itself
    HEAP_TYPE = 64  # a class made at run time


# Section name -> typecode of `array.array` (and of `memoryview.cast`).
SECTIONS: dict[str, str] = {
    "node_address": "Q",
    "node_type": "I",
    "node_size": "Q",
    "node_flags": "H",
    "edge_offset": "Q",
    "edge_target": "I",
    "edge_label": "I",
    "type_name": "I",
    "type_node": "I",
    "root_kind": "B",
    "root_name": "I",
    "root_count": "Q",
    "root_frame": "I",
    "frame_thread": "Q",
    "frame_function": "I",
    "frame_file": "I",
    "frame_line": "I",
    "frame_depth": "I",
    "container_node": "I",
    "container_length": "Q",
    "container_bound": "Q",
    "name_node": "I",
    "name_text": "I",
    "name_file": "I",
    "name_line": "I",
    "value_node": "I",
    "value_text": "I",
    "string_offset": "Q",
    "string_bytes": "B",
}

# What a core may leave out, and an older file does.
OPTIONAL_SECTIONS: dict[str, str] = {"equal_node": "I", "equal_group": "I"}

# What is computed from the others, and stored in files so that they answer at once.
DERIVED_SECTIONS: dict[str, str] = {
    "node_dominator": "I",
    "node_retained": "Q",
    "node_largest": "I",
}

# Those of a heap that was captured while allocations were sampled, beside `SECTIONS`.
SITE_SECTIONS: dict[str, str] = {
    "site_address": "Q",
    "site_size": "Q",
    "site_weight": "d",
    "site_stack": "I",
    "site_stack_offset": "I",
    "site_stack_frame": "I",
    "site_function": "I",
    "site_file": "I",
    "site_line": "I",
    "site_string_offset": "Q",
    "site_string_bytes": "B",
}
