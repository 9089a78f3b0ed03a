import tracemalloc

from memlens.allocations.tracing import peak
from memlens.allocations.tracing.peak import raise_peak

MIB = 1 << 20


def test_reset_peak_is_restored_without_allocating():
    tracemalloc.start()
    data = bytearray(8 * MIB)
    del data
    before = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    raise_peak(before[1])
    after = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert before[1] >= 8 * MIB
    # Not exact to the byte: the calls themselves need some objects.
    assert abs(after[1] - before[1]) < 2000
    assert after[0] < 8 * MIB


def test_higher_peak_stays():
    tracemalloc.start()
    data = bytearray(MIB)
    known = tracemalloc.get_traced_memory()[1]
    raise_peak(1000)
    assert tracemalloc.get_traced_memory()[1] - known < 1000
    tracemalloc.stop()
    del data


def test_peak_stays_zero_while_tracing_is_off():
    raise_peak(MIB)
    assert tracemalloc.get_traced_memory() == (0, 0)


def test_peak_stays_without_the_c_functions(monkeypatch):
    monkeypatch.setattr(peak, "_tracking_functions", lambda: None)
    tracemalloc.start()
    raise_peak(MIB)
    assert tracemalloc.get_traced_memory()[1] < MIB
    tracemalloc.stop()
