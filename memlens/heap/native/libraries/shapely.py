"""shapely: the coordinates of geometries and the nodes of search trees, estimated.

GEOS does not tell what a geometry takes. Each point, line or ring is one C++ object, and each
coordinate of a line or ring has three numbers. Python's geometries share none of them. Holes of
polygons within a collection are counted by their coordinates only.
"""

from __future__ import annotations

import sys
from typing import Any

from memlens.heap.native.adapter import LibraryAdapters
from memlens.heap.native.blocks import Block

__all__ = ("ADAPTERS",)

_PART_BYTES = 154  # a point, line or ring without its coordinates
_SURFACE_BYTES = 78  # a polygon without its rings
_COLLECTION_BYTES = 130
_COORDINATE_BYTES = 24
_TREE_ITEM_BYTES = 95
_POINT, _POLYGON, _MULTI_POINT, _MULTI_POLYGON = 0, 3, 4, 6


def _blocks_of_geometry(geometry: Any) -> tuple[Block, ...]:
    lib = sys.modules["shapely.lib"]
    kind = int(lib.get_type_id(geometry))
    if kind == _POINT:
        return ((0, _PART_BYTES, "cpu"),)
    size = int(lib.get_num_coordinates(geometry)) * _COORDINATE_BYTES
    if kind < _POLYGON:
        return ((0, size + _PART_BYTES, "cpu"),)
    if kind == _POLYGON:
        rings = 1 + int(lib.get_num_interior_rings(geometry))
        return ((0, size + _SURFACE_BYTES + rings * _PART_BYTES, "cpu"),)
    parts = int(lib.get_num_geometries(geometry))
    if kind == _MULTI_POINT:  # the coordinate of a point is in the point
        return ((0, _COLLECTION_BYTES + parts * _PART_BYTES, "cpu"),)
    if kind == _MULTI_POLYGON:
        size += parts * _SURFACE_BYTES
    return ((0, size + _COLLECTION_BYTES + parts * _PART_BYTES, "cpu"),)


def _blocks_of_tree(tree: Any) -> tuple[Block, ...]:
    return ((0, tree.count * _TREE_ITEM_BYTES, "cpu"),)


_GEOMETRIES = {
    "point": "Point",
    "linestring": "LineString",
    "polygon": "Polygon",
    "multipoint": "MultiPoint",
    "multilinestring": "MultiLineString",
    "multipolygon": "MultiPolygon",
    "collection": "GeometryCollection",
}

ADAPTERS = LibraryAdapters(
    "shapely",
    {
        **{f"shapely.geometry.{m}.{name}": _blocks_of_geometry for m, name in _GEOMETRIES.items()},
        "shapely.geometry.polygon.LinearRing": _blocks_of_geometry,
        "shapely.lib.STRtree": _blocks_of_tree,
    },
)
