from array import array
from collections.abc import Sequence

from _typeshed import ReadableBuffer

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
def children_rows(dominator: ReadableBuffer) -> tuple[array[int], array[int]]: ...
def spread_flags(
    dominator: ReadableBuffer, node_flags: ReadableBuffer, mask: int
) -> array[int]: ...
def nearest_marked(dominator: ReadableBuffer, mark: ReadableBuffer) -> array[int]: ...
def subtree_sums(dominator: ReadableBuffer, node_size: ReadableBuffer) -> array[int]: ...
def retained_by_group(
    dominator: ReadableBuffer,
    retained: ReadableBuffer,
    group: ReadableBuffer,
    group_count: int,
    node_flags: ReadableBuffer,
    skip_flags: int = 0,
) -> array[int]: ...
def reached_nodes(
    edge_offset: ReadableBuffer,
    edge_target: ReadableBuffer,
    edge_label: ReadableBuffer,
    without: ReadableBuffer,
) -> array[int]: ...
def edges_between(
    edge_offset: ReadableBuffer,
    edge_target: ReadableBuffer,
    edge_label: ReadableBuffer,
    source_mark: ReadableBuffer,
    target_mark: ReadableBuffer,
) -> array[int]: ...
def largest_nodes(
    node_value: ReadableBuffer, node_flags: ReadableBuffer, count: int, skip_flags: int = 0
) -> array[int]: ...
def identity_keys(
    node_type: ReadableBuffer,
    node_size: ReadableBuffer,
    type_key: ReadableBuffer,
    type_is_sized: ReadableBuffer,
) -> array[int]: ...
def mark_matched(
    same: ReadableBuffer,
    flags_a: ReadableBuffer,
    flags_b: ReadableBuffer,
    skip_flags: int,
    mark: int,
) -> tuple[array[int], array[int]]: ...
def place_keys(
    edge_offset: ReadableBuffer,
    edge_target: ReadableBuffer,
    edge_label: ReadableBuffer,
    path_edges: ReadableBuffer,
    node_type: ReadableBuffer,
    string_key: ReadableBuffer,
    type_key: ReadableBuffer,
    root_key: ReadableBuffer,
    anchor_node: ReadableBuffer,
    anchor_key: ReadableBuffer,
    namespace_string: int,
) -> tuple[array[int], array[int]]: ...
def decimal_rows(columns: Sequence[ReadableBuffer]) -> bytes: ...
def identity_numbers(
    node_address: ReadableBuffer,
    node_type: ReadableBuffer,
    node_size: ReadableBuffer,
    type_key: ReadableBuffer,
    type_is_sized: ReadableBuffer,
    limit: int,
) -> array[int]: ...
