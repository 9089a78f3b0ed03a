"""The layout of a captured heap: what the core returns and what a snapshot file stores.

A captured heap is a mapping from section name to a flat buffer of fixed-width integers. Both core
implementations produce it, the file stores it section by section, ``heap.graph`` reads it. This
module is the only place that defines each section.

**Nodes.** Node 0 is not an object: it is the process itself, the parent of every root (address 0,
type 0, size 0). All other nodes are objects, in depth-first discovery order. Columns, by node:

- ``node_address``  u64  the object's ``id()``
- ``node_type``     u32  row in the type table
- ``node_size``     u64  shallow size in bytes, including the collector's header and owned buffers
- ``node_flags``    u16  bits of `NodeFlag`

**Edges**, as compressed rows: the edges of node ``v`` are ``edge_offset[v] : edge_offset[v + 1]``.

- ``edge_offset``   u64  one more entry than there are nodes
- ``edge_target``   u32  node
- ``edge_label``    u32  ``payload << LABEL_BITS | EdgeKind``; the payload is a position for
  ``EdgeKind.INDEX`` and a string number otherwise (string 0 is "": the name is unknown)

**Types**: ``type_name`` u32 (string: ``module.qualname``; of built-in types ``qualname`` alone:
``dict``), ``type_node`` u32 (node of the type object, `NONE` for type 0, the process).

The edges to the names that a code object uses (``co_names``) are labelled ``INTERNAL`` with the name
itself, so that a reader can find the code that mentions a name.

**Roots**: root ``i`` is edge ``i`` of node 0. ``root_kind`` u8 (`RootKind`), ``root_name`` u32
(string), ``root_count`` u64 (for ``EXTERNAL``: the number of references that nothing in the heap
explains; else 0), ``root_frame`` u32 (row in the frame table for ``FRAME``, else `NONE`).

**Running frames**: ``frame_thread`` u64 (thread identifier), ``frame_function`` u32,
``frame_file`` u32 (strings), ``frame_line`` u32, ``frame_depth`` u32 (0 is the innermost).

**Sparse columns**, sorted by node:

- ``container_node`` u32, ``container_length`` u64, ``container_bound`` u64: the length of
  sized built-in containers, and their ``maxlen`` or ``maxsize`` (`NO_BOUND` if they have none)
- ``name_node`` u32, ``name_text`` u32, ``name_file`` u32, ``name_line`` u32: the qualified name of
  modules, types, functions and code objects, and where they are defined (string 0, line 0: unknown);
  of asyncio tasks written in C the name that ``get_name()`` returns, without a place
- ``value_node`` u32, ``value_text`` u32: the shortened text of strings, bytes and numbers; empty
  unless the caller asked for values
- ``equal_node`` u32, ``equal_group`` u32 (optional): strings and bytes (exactly of these types)
  with equal contents; groups are numbered from 0, and have at least two members
- ``prefix_node`` u32, ``prefix_hash`` u32 (optional): of each exact ``str`` and ``bytes``, of each
  ``bytearray`` and ``array.array`` of 512 bytes or more, and of arrays of numpy that own numbers in C
  order, the hash of the first 128 characters or 256 bytes, unless these bytes are all zero; of each
  ``float`` and of each ``int`` above 1024 the hash of the number, or of the first digits of a large
  one. The key of the hash is a secret of the process, so hashes are comparable only between its
  snapshots
- ``block_node`` u32, ``block_address`` u64 (optional; a node may own
  several): the sampled memory blocks that an object owns beside its own, such as the items of a list
- ``native_node`` u32, ``native_device`` u32, ``native_library`` u32 (optional): the native blocks
- ``resident_node`` u32, ``resident_bytes`` u64 (optional): how much of a native block that is a
  mapping was resident in the process; blocks of which it is not known are left out

**Native blocks** are nodes, too (`NodeFlag.NATIVE`): memory that objects hold outside of the Python
heap. The address of such a node is the block's (0: unknown), its size the block's bytes, its type a
row without a node named ``native memory (library)``. It has no edges; each object that holds the
block has an edge to it, ``INTERNAL`` with the name ``buffer``. A block that several objects hold is
one node. The strings ``native_device`` (``cpu``, ``mapped``: pages of a file, ``shared``: shared
memory, ``cuda:0``...) and ``native_library`` say where it lies and whose it is. ``native_notes`` u8
(optional) is text, lines of JSON: how the adapters of libraries fared (see ``memlens.heap.native``).

**Allocation sites** (`SITE_SECTIONS`), only in a heap captured while allocations were sampled. They
are stored by block, not by node, so that the parent of a forked capture can collect them before the
fork. Sampled blocks, sorted by address: ``site_address`` u64, ``site_size`` u64 (bytes asked for),
``site_weight`` f64 (the number of blocks that the sample represents), ``site_stack`` u32. The frames
of stack ``s``, innermost first, are ``site_stack_frame[site_stack_offset[s] : site_stack_offset[s +
1]]`` (u32), rows of ``site_function`` u32, ``site_file`` u32, ``site_line`` u32 (0: unknown); their
strings are in ``site_string_offset`` u64 and ``site_string_bytes``, as below. An object starts 0,
16, 32 or 48 bytes into its block.

**Strings**: ``string_offset`` u64 (one more entry than there are strings) into ``string_bytes``,
UTF-8 (with ``surrogatepass``).

**Derived columns**, stored in files: ``node_dominator`` u32 and ``node_retained`` u64 by node, as
returned by `memlens._core.dominator_tree`, except that what memlens's own objects retain is left out
of what those of the program retain; and ``node_largest`` u32, the nodes with the largest
retained sizes, largest first, without garbage and memlens's own objects (at most `LARGEST_STORED`).
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

__all__ = (
    "DERIVED_SECTIONS",
    "KIND_MASK",
    "LABEL_BITS",
    "LARGEST_STORED",
    "MAX_PAYLOAD",
    "NONE",
    "NO_BOUND",
    "OPTIONAL_SECTIONS",
    "SECTIONS",
    "SITE_SECTIONS",
    "VALUE_TEXT_LIMIT",
    "EdgeKind",
    "NodeFlag",
    "RootKind",
)

NONE = 0xFFFF_FFFF
NO_BOUND = 0xFFFF_FFFF_FFFF_FFFF
LABEL_BITS = 3
KIND_MASK = (1 << LABEL_BITS) - 1  # the bits of a label that are its `EdgeKind`
LARGEST_STORED = 1000
MAX_PAYLOAD = (1 << (32 - LABEL_BITS)) - 1
VALUE_TEXT_LIMIT = 200  # characters of a stored value; longer ones are shortened


class EdgeKind(IntEnum):
    """How the source of an edge refers to its target."""

    INTERNAL = 0  # a field of the implementation: ``__closure__``, ``__class__``, ``tb_next``
    ATTRIBUTE = 1  # ``.name``: of an instance, a class, a module, or an entry of their ``__dict__``
    KEY = 2  # ``[key]``: the value stored under a key
    INDEX = 3  # ``[3]``: the payload is the position
    LOCAL = 4  # a local variable of a frame, generator or coroutine
    CELL = 5  # a variable that a function closes over
    WEAK = 6  # a weak reference: keeps nothing alive, left out of dominators and paths
    ITEM = 7  # an unnamed element: a member of a set, a key of a dict


class RootKind(IntEnum):
    """Why an object is alive without a referrer. The kinds with the most useful names come first."""

    MODULE = 1  # an entry of ``sys.modules``; the name is the module's
    FRAME = 2  # a running frame of a thread
    INTERPRETER = 3  # referred to by the interpreter itself; the name says from where
    STATIC_TYPE = 4  # a type that lives outside the heap
    INTERNED = 5  # an interned string
    IMMORTAL = 6  # never freed by the interpreter
    EXTERNAL = 7  # references that the heap does not explain: native code, locals of running frames


class NodeFlag(IntFlag):
    """Facts about one object."""

    TRACKED = 1  # known to the garbage collector
    GARBAGE = 2  # unreachable from the roots: the next full collection would free it
    IMMORTAL = 4  # its reference count does not change
    NAMESPACE = 8  # a dict that is the ``__dict__`` of a module, a class or an instance
    FINISHED = 16  # a closed file or socket, a finished task, thread, generator or coroutine
    OWN = 32  # belongs to memlens itself
    HEAP_TYPE = 64  # a class created at run time
    NATIVE = 128  # not an object: a block of native memory that objects hold


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

# Sections that a core may omit and that older files do not have.
OPTIONAL_SECTIONS: dict[str, str] = {
    "equal_node": "I",
    "equal_group": "I",
    "prefix_node": "I",
    "prefix_hash": "I",
    "block_node": "I",
    "block_address": "Q",
    "native_node": "I",
    "native_device": "I",
    "native_library": "I",
    "resident_node": "I",
    "resident_bytes": "Q",
    "native_notes": "B",
}

# Sections computed from the others and stored in files, so that opening a file does not recompute them.
DERIVED_SECTIONS: dict[str, str] = {
    "node_dominator": "I",
    "node_retained": "Q",
    "node_largest": "I",
}

# Additional sections of a heap that was captured while allocations were sampled.
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
