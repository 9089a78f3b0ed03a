"""Small heaps made by hand: sections as the core would give them, without a live process."""

from __future__ import annotations

from array import array

from memlens._core.layout import LABEL_BITS, NO_BOUND, NONE, SECTIONS, EdgeKind, NodeFlag, RootKind
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.snapshot import HeapSnapshot

K = EdgeKind


class Planter:
    """Plants objects and references, then makes a graph of them."""

    def __init__(self):
        self.strings = {"": 0}
        self.types = {"<process>": 0}
        self.nodes = [(0, 0, 0, 0)]  # address, type, size, flags
        self.edges = {0: []}
        self.roots = []
        self.containers = {}
        self.classes = {}  # the nodes of classes by the names of their types
        self.names = {}
        self.frames = []
        self._keys = {}
        self.equals = []
        self.values = {}
        self.natives = {}  # of native blocks: device and library
        self.residents = {}
        self.notes = b""
        self.prefixes = {}  # of large texts and buffers: the hash of the beginning

    def text(self, text):
        return self.strings.setdefault(text, len(self.strings))

    def node(self, type_name="object", size=16, *, key=None, flags=0, length=None, bound=None):
        """Add an object; the same ``key`` in two planters means the same object (address)."""
        number = len(self.nodes)
        address = (
            hash(key) % (1 << 40) * 16 + 16
            if key is not None
            else (1 << 46) + id(self) % (1 << 40) + number * 16
        )
        row = self.types.setdefault(type_name, len(self.types))
        self.nodes.append((address, row, size, int(flags)))
        self.edges[number] = []
        if length is not None or bound is not None:
            self.containers[number] = (length or 0, NO_BOUND if bound is None else bound)
        return number

    def native(self, size, *owners, device="cpu", library="torch", key=None):
        """Add a native block that some objects hold; without a key its address is unknown."""
        name = f"native memory ({library})"
        number = self.node(name, size, key=key, flags=NodeFlag.NATIVE)
        if key is None:
            self.nodes[number] = (0, *self.nodes[number][1:])
        self.natives[number] = self.text(device), self.text(library)
        for owner in owners:
            self.edge(owner, number, K.INTERNAL, "buffer")
        return number

    def edge(self, source, target, kind=K.ATTRIBUTE, name="", position=0):
        payload = position if kind is K.INDEX else self.text(name)
        self.edges[source].append((target, payload << LABEL_BITS | kind))

    def root(self, target, kind=RootKind.MODULE, name="", count=0, frame=None):
        row = NONE
        if frame is not None:
            row = len(self.frames)
            self.frames.append(frame)
        self.roots.append((kind, self.text(name), count, row))
        self.edges[0].append((target, EdgeKind.INTERNAL))

    def equal(self, nodes):
        """Say that some strings have the same contents."""
        self.equals.append(nodes)

    def value(self, node, text):
        """Store the text of a string."""
        self.values[node] = self.text(text)

    def module(self, name, **attributes):
        """Add a module with a namespace dict; attributes are given as nodes."""
        module = self.node("module", 64, key=("module", name))
        namespace = self.node(
            "dict", 232, key=("namespace", name), flags=NodeFlag.NAMESPACE, length=len(attributes)
        )
        self.edge(module, namespace, K.INTERNAL, "__dict__")
        for attribute, target in attributes.items():
            self.edge(namespace, target, K.ATTRIBUTE, attribute)
        self.root(module, name=name)
        self.names[module] = (self.text(name), 0, 0)
        return module

    def sections(self):
        rows = [self.edges[node] for node in range(len(self.nodes))]
        offsets = [0]
        for row in rows:
            offsets.append(offsets[-1] + len(row))
        columns = {
            "node_address": [n[0] for n in self.nodes],
            "node_type": [n[1] for n in self.nodes],
            "node_size": [n[2] for n in self.nodes],
            "node_flags": [n[3] for n in self.nodes],
            "edge_offset": offsets,
            "edge_target": [e[0] for row in rows for e in row],
            "edge_label": [e[1] for row in rows for e in row],
            "type_name": [self.text(name) for name in self.types],
            "type_node": [self.classes.get(name, NONE) for name in self.types],
            "root_kind": [r[0] for r in self.roots],
            "root_name": [r[1] for r in self.roots],
            "root_count": [r[2] for r in self.roots],
            "root_frame": [r[3] for r in self.roots],
            "frame_thread": [f[0] for f in self.frames],
            "frame_function": [self.text(f[1]) for f in self.frames],
            "frame_file": [self.text(f[2]) for f in self.frames],
            "frame_line": [f[3] for f in self.frames],
            "frame_depth": [0 for _ in self.frames],
            "container_node": sorted(self.containers),
            "container_length": [self.containers[n][0] for n in sorted(self.containers)],
            "container_bound": [self.containers[n][1] for n in sorted(self.containers)],
            "name_node": sorted(self.names),
            "name_text": [self.names[n][0] for n in sorted(self.names)],
            "name_file": [self.names[n][1] for n in sorted(self.names)],
            "name_line": [self.names[n][2] for n in sorted(self.names)],
            "value_node": sorted(self.values),
            "value_text": [self.values[n] for n in sorted(self.values)],
        }
        text = [string.encode() for string in self.strings]  # type and frame names came last
        starts = [0]
        for string in text:
            starts.append(starts[-1] + len(string))
        columns["string_offset"] = starts
        columns["string_bytes"] = list(b"".join(text))
        made = {name: array(code, columns[name]) for name, code in SECTIONS.items()}
        if self.equals:
            pairs = sorted((n, g) for g, nodes in enumerate(self.equals) for n in nodes)
            made["equal_node"] = array("I", [node for node, _ in pairs])
            made["equal_group"] = array("I", [group for _, group in pairs])
        if self.natives:
            made["native_node"] = array("I", self.natives)
            made["native_device"] = array("I", [device for device, _ in self.natives.values()])
            made["native_library"] = array("I", [library for _, library in self.natives.values()])
        if self.residents:
            made["resident_node"] = array("I", sorted(self.residents))
            made["resident_bytes"] = array("Q", [self.residents[n] for n in sorted(self.residents)])
        if self.notes:
            made["native_notes"] = array("B", self.notes)
        if self.prefixes:
            made["prefix_node"] = array("I", sorted(self.prefixes))
            made["prefix_hash"] = array("I", [self.prefixes[n] for n in sorted(self.prefixes)])
        return made

    def graph(self, **facts):
        base = {
            "pid": 1,
            "process": "p",
            "timestamp": 0.0,
            "reason": "test",
            "pause_seconds": 0.0,
            "threads": {"7": "MainThread"},
        }
        return HeapGraph(self.sections(), {**base, **facts})

    def snapshot(self, **facts):
        return HeapSnapshot(self.graph(**facts))
