from array import array

from _typeshed import ReadableBuffer

def capture(
    *, values: bool = False, own_prefix: str = "", skip_frames: int = 0
) -> dict[str, memoryview]: ...
def fork_capture(
    file_fd: int,
    progress_fd: int,
    facts_fd: int,
    *,
    values: bool = False,
    own_prefix: str = "",
    skip_frames: int = 0,
    more: tuple[tuple[str, str, bytes], ...] = (),
) -> int: ...
def dominator_tree(
    edge_offset: ReadableBuffer,
    edge_target: ReadableBuffer,
    edge_label: ReadableBuffer,
    node_size: ReadableBuffer,
) -> tuple[array[int], array[int]]: ...
def reverse_edges(
    edge_offset: ReadableBuffer, edge_target: ReadableBuffer, edge_label: ReadableBuffer
) -> tuple[array[int], array[int]]: ...
def shortest_paths(
    edge_offset: ReadableBuffer,
    edge_target: ReadableBuffer,
    edge_label: ReadableBuffer,
    root_tier: ReadableBuffer,
) -> array[int]: ...
def count_types(
    node_type: ReadableBuffer,
    node_size: ReadableBuffer,
    node_flags: ReadableBuffer,
    type_count: int,
    skip_flags: int = 0,
) -> tuple[array[int], array[int]]: ...
def match_nodes(
    address_a: ReadableBuffer,
    key_a: ReadableBuffer,
    address_b: ReadableBuffer,
    key_b: ReadableBuffer,
) -> array[int]: ...
