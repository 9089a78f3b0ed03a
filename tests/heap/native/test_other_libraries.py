"""pandas, Pillow, lxml and shapely, and libraries that need no adapter."""

from __future__ import annotations

import ctypes
import gc

import pytest

from tests.heap.native.measuring import addresses, distinct_bytes, malloc_bytes, rows_of


def within(ratio, found, expected):
    assert abs(found - expected) <= ratio * expected, (found, expected)


def children(owner, module):
    """Return what an object refers to directly or over others of ours, by the module of the type."""
    found, waiting, seen = [], [owner], set()
    while waiting:
        value = waiting.pop()
        if id(value) not in seen and not isinstance(value, type):
            seen.add(id(value))
            if type(value).__module__ == module:
                found.append(value)
            waiting += gc.get_referents(value)
    return found


class TestPandas:
    @pytest.fixture
    def pd(self):
        return pytest.importorskip("pandas", reason="pandas is not installed")

    def test_the_hash_table_of_an_index_is_measured(self, pd):
        index = pd.Index(range(0, 100_000, 3)).astype("int64")
        index = pd.Index(index.to_numpy()[::-1].copy())
        index.get_loc(3)
        (table,) = children(index, "pandas._libs.hashtable")
        assert rows_of(table) == [(0, 0, index._engine.sizeof(), "cpu", "pandas")]

    @pytest.mark.parametrize("dtype", ["string[pyarrow]", "category"])
    def test_strings_are_arrow_arrays_of_the_graph(self, pd, dtype):
        pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        words = [f"a word with the number {number % 5000}" for number in range(50_000)]
        before = pa.total_allocated_bytes()
        series = pd.Series(words, dtype=dtype)
        allocated = pa.total_allocated_bytes() - before
        arrays = children(series, "pyarrow.lib")
        assert allocated
        within(0.05, distinct_bytes(*arrays), allocated)

    def test_other_columns_are_numpy_arrays_of_the_graph(self, pd):
        numpy = pytest.importorskip("numpy", reason="numpy is not installed")
        for series in (
            pd.Series([1, None] * 5000, dtype="Int64"),
            pd.Series(pd.date_range("2020", periods=10_000, tz="UTC")),
            pd.Series(pd.period_range("2020", periods=10_000)),
        ):
            arrays = children(series.array, "numpy")
            held = sum(a.nbytes for a in arrays if isinstance(a, numpy.ndarray))
            assert held >= series.array.nbytes


class TestPillow:
    @pytest.fixture
    def image_module(self):
        return pytest.importorskip("PIL.Image", reason="Pillow is not installed")

    @pytest.mark.parametrize(
        ("mode", "pixel_bytes"),
        [("1", 1), ("L", 1), ("P", 1), ("I;16", 2), ("LA", 4), ("RGB", 4), ("RGBA", 4),
         ("CMYK", 4), ("I", 4), ("F", 4), ("HSV", 4)],
    )  # fmt: skip
    def test_an_image_has_its_pixels(self, image_module, mode, pixel_bytes):
        image = image_module.new(mode, (640, 480))
        assert distinct_bytes(image.im) == 640 * 480 * pixel_bytes
        copy = image.copy()
        assert distinct_bytes(image.im, copy.im) == 2 * 640 * 480 * pixel_bytes

    def test_the_estimate_is_what_the_c_library_has_allocated(self, image_module):
        image_module.new("RGB", (3000, 1000))
        before = malloc_bytes()
        image = image_module.new("RGB", (3000, 1000))
        within(0.05, distinct_bytes(image.im), malloc_bytes() - before)

    def test_an_image_of_several_blocks_is_measured(self, image_module):
        image = image_module.new("RGB", (5000, 2000))
        assert rows_of(image.im) == [(0, 0, 5000 * 2000 * 4, "cpu", "PIL")]

    def test_an_image_over_a_bytearray_has_its_address(self, image_module):
        data = bytearray(640 * 480)
        image = image_module.frombuffer("L", (640, 480), data, "raw", "L", 0, 1)
        if not hasattr(image.im, "__arrow_c_array__"):
            pytest.skip("this version of Pillow does not tell addresses")
        assert addresses(image.im) == {ctypes.addressof(ctypes.c_char.from_buffer(data))}


DOCUMENTS = {
    "attributes": "".join(f'<item id="{n}" name="nm{n}">some text {n}</item>' for n in range(5000)),
    "indented": "".join(f"  <a>\n    <name>{n}</name>\n    <v a='1'/>\n  </a>\n" for n in range(5000)),
    "long texts": "".join(f"<p>{'lorem ipsum ' * (n % 40)}</p>" for n in range(5000)),
    "Cyrillic": "".join(f"<p>{'привет мир ' * (n % 20)}</p>" for n in range(5000)),
    "comments": "".join(f"<!-- comment {n} --><?pi data {n}?><x/>" for n in range(5000)),
}  # fmt: skip


class TestLxml:
    @pytest.fixture
    def etree(self):
        return pytest.importorskip("lxml.etree", reason="lxml is not installed")

    @pytest.mark.parametrize("content", DOCUMENTS.values(), ids=DOCUMENTS)
    def test_the_estimate_is_within_a_tenth(self, etree, content):
        text = f"<r>{content}</r>"
        etree.fromstring(text)
        before = malloc_bytes()
        root = etree.fromstring(text)
        allocated = malloc_bytes() - before
        documents = [x for x in children(root, "lxml.etree") if type(x) is etree._Document]
        (row,) = rows_of(*documents)
        assert row.address == 0
        within(0.1, row.size, allocated)

    def test_the_document_of_html_is_measured(self, etree):
        html = pytest.importorskip("lxml.html", reason="lxml.html is not installed")
        root = html.fromstring("<p>text</p>" * 100)
        documents = [x for x in children(root, "lxml.etree") if type(x) is etree._Document]
        assert distinct_bytes(*documents) >= 200 * 128

    def test_an_empty_document_has_no_memory(self, etree):
        root = etree.Element("a")
        (document,) = [x for x in children(root, "lxml.etree") if type(x) is etree._Document]
        other = etree.Element("b")
        other.append(root)  # moves it, and leaves nothing in its document
        assert rows_of(document) == []


class TestShapely:
    @pytest.fixture
    def shapely(self):
        return pytest.importorskip("shapely", reason="shapely is not installed")

    def test_the_estimate_is_within_a_tenth(self, shapely):
        line = [(x, x * x) for x in range(50)]
        hole = [(1, 2), (2, 2), (2, 3)]
        polygon = shapely.Polygon(line)
        makers = [
            lambda: shapely.Point(1, 2),
            lambda: shapely.LineString(line),
            lambda: shapely.LinearRing(line),
            lambda: shapely.Polygon(line),
            lambda: shapely.Polygon([(0, 0), (9, 0), (9, 9), (0, 9)], [hole]),
            lambda: shapely.MultiPoint(line),
            lambda: shapely.MultiLineString([line, line]),
            lambda: shapely.MultiPolygon([polygon, polygon]),
            lambda: shapely.GeometryCollection([polygon, shapely.Point(1, 2)]),
        ]
        for make in makers:
            made = [make() for _ in range(3000)]
            made = [None] * 3000
            before = malloc_bytes()
            for number in range(3000):
                made[number] = make()
            within(0.1, distinct_bytes(*made), malloc_bytes() - before)

    def test_a_search_tree_is_measured(self, shapely):
        points = [shapely.Point(n, n) for n in range(10_000)]
        shapely.STRtree(points)
        before = malloc_bytes()
        tree = shapely.STRtree(points)
        within(0.1, distinct_bytes(tree._tree), malloc_bytes() - before)


def test_sparse_matrices_of_scipy_are_arrays_of_the_graph():
    sparse = pytest.importorskip("scipy.sparse", reason="scipy is not installed")
    matrix = sparse.random(100, 100, 0.1, "csr")
    held = {id(array) for array in children(matrix, "numpy")}
    assert {id(matrix.data), id(matrix.indices), id(matrix.indptr)} <= held


def test_arrays_of_xarray_are_arrays_of_the_graph():
    xarray = pytest.importorskip("xarray", reason="xarray is not installed")
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    data = numpy.arange(1000)
    dataset = xarray.Dataset({"x": ("n", data)})
    assert any(array is data or array.base is data for array in children(dataset, "numpy")
               if isinstance(array, numpy.ndarray))  # fmt: skip
