"""Synthetic memory traces with known truth: leaking and benign families for judging detectors.

``generate(name, seed)`` gives one ``Trace``: timestamps in seconds, bytes, whether it leaks, from
when, and, for families that grow along a line, how fast. Every family draws its own parameters
from its seed, so that two seeds are two services, not two runs of one.

The families carry the names of the literature's zoo: L = leaks, N = does not. Families whose
name begins with X are situations of operation (restart, suspension, a trimmed heap, a season of a
day) in a leaking and a benign form.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ("BENIGN", "FAMILIES", "LEAKING", "LINEAR", "Trace", "generate")

MIB = 1024.0 * 1024.0
HOUR = 3600.0
STEP_SECONDS = 5.0
READINGS = 4320  # six hours

Array = np.ndarray
Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Trace:
    """One series: ``values`` in bytes at ``times`` in seconds, and the truth about it."""

    name: str
    times: Array
    values: Array
    leaks: bool
    onset_seconds: float = 0.0
    slope_bytes_per_hour: float | None = None  # None: the true growth is not a line


@dataclass(slots=True)
class _Draw:
    """What most families begin with: a clock, a level, noise and a rate."""

    rng: Random
    t: Array
    base: float
    noise: Array
    rate: float  # MiB per second

    @property
    def end(self) -> float:
        return float(self.t[-1])


Values = "Array | tuple[Array, Array]"  # alone, or with a clock of its own
Shape = Callable[[_Draw], "tuple[Values, float]"]
FAMILIES: dict[str, Shape] = {}
_HORIZON: dict[str, int] = {}


def _family(name: str, readings: int = READINGS) -> Callable[[Shape], Shape]:
    def register(shape: Shape) -> Shape:
        FAMILIES[name] = shape
        _HORIZON[name] = readings
        return shape

    return register


def generate(name: str, seed: int) -> Trace:
    """Return the trace of family ``name`` with the parameters that ``seed`` draws."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    t = np.arange(_HORIZON[name]) * STEP_SECONDS
    noise = rng.normal(0, rng.uniform(0.3, 3.0), t.size)
    rate = float(np.exp(rng.uniform(np.log(4), np.log(80)))) / HOUR
    draw = _Draw(rng, t, rng.uniform(80, 400), noise, rate)
    values, onset = FAMILIES[name](draw)
    if isinstance(values, tuple):  # the family thinned or moved its clock
        t, values = values
    leaks = name[0] == "L" or name.endswith("_leak")
    slope = draw.rate * HOUR * MIB if name in LINEAR else None
    return Trace(name, t, np.maximum(values, 1.0) * MIB, leaks, onset, slope)


# -- what the families are made of --------------------------------------------------------------


def _saw(rng: Random, t: Array, height: float, period: float) -> Array:
    """Return a rise that collapses at random intervals around ``period``, like a collector's."""
    lengths: list[float] = []
    total = -rng.uniform(0, 1) * period
    edges = [total]
    while edges[-1] <= t[-1]:
        lengths.append(period * rng.uniform(0.65, 1.35))
        edges.append(edges[-1] + lengths[-1])
    starts = np.asarray(edges)
    which = np.searchsorted(starts, t, side="right") - 1
    return height * (t - starts[which]) / period


def _autoregressive(rng: Random, size: int, memory: float, deviation: float) -> Array:
    shocks = rng.normal(0, deviation * np.sqrt(1 - memory * memory), size)
    level = float(rng.normal(0, deviation))
    out = np.empty(size)
    for i, shock in enumerate(shocks.tolist()):
        level = memory * level + shock
        out[i] = level
    return out


def _two_states(rng: Random, size: int, mean_readings: float) -> Array:
    """Return a load that is off or on, with geometric stays of ``mean_readings`` in each."""
    state, at = int(rng.integers(0, 2)), 0
    out = np.empty(size)
    while at < size:
        stay = int(rng.geometric(1 / mean_readings))
        out[at : at + stay] = state
        at, state = at + stay, 1 - state
    return out


def _wave(rng: Random, t: Array, height: float, period: float) -> Array:
    return height * np.sin(2 * np.pi * t / period + rng.uniform(0, 2 * np.pi))


def _log_uniform(rng: Random, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _flat(d: _Draw) -> Array:
    return d.base + d.noise


def _line(d: _Draw) -> Array:
    return _flat(d) + d.rate * d.t


# -- leaks --------------------------------------------------------------------------------------


@_family("L01_linear")
def _l01(d: _Draw) -> tuple[Array, float]:
    return _line(d), 0.0


@_family("L02_linear_saw")
def _l02(d: _Draw) -> tuple[Array, float]:
    return _line(d) + _saw(d.rng, d.t, d.rng.uniform(5, 60), d.rng.uniform(20, 300)), 0.0


@_family("L03_linear_periodic")
def _l03(d: _Draw) -> tuple[Array, float]:
    return _line(d) + _wave(d.rng, d.t, d.rng.uniform(5, 60), d.rng.uniform(300, 2400)), 0.0


@_family("L04_linear_slow_periodic")
def _l04(d: _Draw) -> tuple[Array, float]:
    return _line(d) + _wave(d.rng, d.t, d.rng.uniform(5, 40), d.rng.uniform(5400, 10800)), 0.0


@_family("L05_linear_after_warmup")
def _l05(d: _Draw) -> tuple[Array, float]:
    warm = d.rng.uniform(50, 200) * (1 - np.exp(-d.t / d.rng.uniform(300, 1800)))
    return _line(d) + warm, 0.0


@_family("L06_staircase")
def _l06(d: _Draw) -> tuple[Array, float]:
    tread = d.rng.uniform(120, 900)
    return _flat(d) + np.floor(d.t / tread) * tread * d.rate, 0.0


@_family("L07_poisson_bursts")
def _l07(d: _Draw) -> tuple[Array, float]:
    mean_gap = d.rng.uniform(60, 600)
    arrivals = d.rng.poisson(STEP_SECONDS / mean_gap, d.t.size)
    sizes = d.rng.exponential(d.rate * mean_gap, d.t.size)
    return _flat(d) + np.cumsum(arrivals * sizes), 0.0


@_family("L08_accelerating")
def _l08(d: _Draw) -> tuple[Array, float]:
    return _flat(d) + 2 * d.rate * d.t * d.t / d.end, 0.0


@_family("L09_square_root")
def _l09(d: _Draw) -> tuple[Array, float]:
    return _flat(d) + d.rate * np.sqrt(d.t * d.end), 0.0


@_family("L10_delayed")
def _l10(d: _Draw) -> tuple[Array, float]:
    onset = d.rng.uniform(0.2, 0.5) * d.end
    return _flat(d) + d.rate * np.clip(d.t - onset, 0, None), onset


@_family("L11_load_gated")
def _l11(d: _Draw) -> tuple[Array, float]:
    load = _two_states(d.rng, d.t.size, d.rng.uniform(300, 1800) / STEP_SECONDS)
    grown = np.cumsum(load) * STEP_SECONDS * 2 * d.rate
    return _flat(d) + grown + load * d.rng.uniform(0, 30), 0.0


@_family("L12_step_down")
def _l12(d: _Draw) -> tuple[Array, float]:
    at = d.rng.uniform(0.35, 0.65) * d.end
    return _line(d) - np.where(d.t > at, min(0.7 * d.rate * at, 60), 0), 0.0


@_family("L13_heavy_spikes")
def _l13(d: _Draw) -> tuple[Array, float]:
    spikes = np.abs(d.rng.standard_t(1.5, d.t.size)).clip(0, 500) * d.rng.uniform(1, 5)
    return d.base + d.rate * d.t + spikes, 0.0


@_family("L14_missing")
def _l14(d: _Draw) -> tuple[Array, float]:
    values = _line(d) + _saw(d.rng, d.t, d.rng.uniform(5, 30), d.rng.uniform(60, 240))
    kept = d.rng.random(d.t.size) > 0.3
    return (d.t[kept], values[kept]), 0.0  # its own clock


@_family("L15_autoregressive")
def _l15(d: _Draw) -> tuple[Array, float]:
    return _line(d) + _autoregressive(d.rng, d.t.size, 0.99, d.rng.uniform(2, 8)), 0.0


@_family("L16_quantised")
def _l16(d: _Draw) -> tuple[Array, float]:
    chunk = float(d.rng.choice([1, 4, 32]))
    used = d.base + d.rate * d.t + _saw(d.rng, d.t, d.rng.uniform(3, 15), 90)
    held = np.maximum.accumulate(np.ceil(used / chunk) * chunk)
    return held + d.rng.normal(0, 0.05, d.t.size), 0.0


# -- benign -------------------------------------------------------------------------------------


@_family("N01_flat")
def _n01(d: _Draw) -> tuple[Array, float]:
    return _flat(d), 0.0


@_family("N02_saw")
def _n02(d: _Draw) -> tuple[Array, float]:
    return _flat(d) + _saw(d.rng, d.t, d.rng.uniform(5, 80), d.rng.uniform(20, 300)), 0.0


@_family("N03_warmup")
def _n03(d: _Draw) -> tuple[Array, float]:
    return _flat(d) + d.rng.uniform(20, 300) * (1 - np.exp(-d.t / d.rng.uniform(120, 3600))), 0.0


@_family("N04_cache_fill")
def _n04(d: _Draw) -> tuple[Array, float]:
    return _flat(d) + d.rng.uniform(20, 300) * np.minimum(d.t / d.rng.uniform(300, 7200), 1), 0.0


@_family("N05_periodic")
def _n05(d: _Draw) -> tuple[Array, float]:
    return _flat(d) + _wave(d.rng, d.t, d.rng.uniform(5, 80), d.rng.uniform(300, 3600)), 0.0


@_family("N06_slow_periodic")
def _n06(d: _Draw) -> tuple[Array, float]:
    return _flat(d) + _wave(d.rng, d.t, d.rng.uniform(5, 80), d.rng.uniform(5400, 10800)), 0.0


@_family("N07_one_step")
def _n07(d: _Draw) -> tuple[Array, float]:
    at = d.rng.uniform(0.05, 0.9) * d.end
    return _flat(d) + np.where(d.t > at, d.rng.uniform(10, 300), 0), 0.0


@_family("N08_few_steps")
def _n08(d: _Draw) -> tuple[Array, float]:
    values = _flat(d)
    for at in d.rng.uniform(0.02, 0.98, int(d.rng.integers(2, 5))) * d.end:
        values = values + np.where(d.t > at, d.rng.uniform(5, 100), 0)
    return values, 0.0


@_family("N09_pulses")
def _n09(d: _Draw) -> tuple[Array, float]:
    values = _flat(d)
    for at in d.rng.uniform(0, d.end, int(d.rng.integers(5, 25))):
        held = (d.t > at) & (d.t < at + d.rng.uniform(60, 1200))
        values = values + np.where(held, d.rng.uniform(10, 150), 0)
    return values, 0.0


@_family("N10_autoregressive")
def _n10(d: _Draw) -> tuple[Array, float]:
    memory = d.rng.uniform(0.95, 0.998)
    return _flat(d) + _autoregressive(d.rng, d.t.size, memory, d.rng.uniform(2, 15)), 0.0


@_family("N11_reflected_walk")
def _n11(d: _Draw) -> tuple[Array, float]:
    return _flat(d) + _walk(d, 0.01, 0.06), 0.0


@_family("N12_ramp_then_flat")
def _n12(d: _Draw) -> tuple[Array, float]:
    rise = np.clip((d.t - d.rng.uniform(0, HOUR)) / d.rng.uniform(900, 3600), 0, 1)
    return _flat(d) + d.rng.uniform(20, 200) * rise, 0.0


@_family("N13_heavy_spikes")
def _n13(d: _Draw) -> tuple[Array, float]:
    spikes = np.abs(d.rng.standard_t(1.2, d.t.size)).clip(0, 400)
    return d.base + d.rng.uniform(0.3, 3) * spikes, 0.0


@_family("N14_decreasing")
def _n14(d: _Draw) -> tuple[Array, float]:
    return _flat(d) + d.rng.uniform(20, 200) * (1 - d.t / d.end), 0.0


@_family("N15_high_water")
def _n15(d: _Draw) -> tuple[Array, float]:
    load = d.base + _autoregressive(d.rng, d.t.size, 0.95, d.rng.uniform(3, 15))
    return np.maximum.accumulate(load) + d.rng.normal(0, 0.05, d.t.size), 0.0


@_family("N16_log_warmup")
def _n16(d: _Draw) -> tuple[Array, float]:
    scale = _log_uniform(d.rng, 5, 300)
    curve = np.log1p(d.t / scale) / np.log1p(d.end / scale)
    return _flat(d) + d.rng.uniform(20, 150) * curve, 0.0


@_family("N17_load_on_off")
def _n17(d: _Draw) -> tuple[Array, float]:
    load = _two_states(d.rng, d.t.size, d.rng.uniform(300, 1800) / STEP_SECONDS)
    return _flat(d) + load * d.rng.uniform(10, 120), 0.0


@_family("N18_slow_saw")
def _n18(d: _Draw) -> tuple[Array, float]:
    return _flat(d) + _saw(d.rng, d.t, d.rng.uniform(10, 100), d.rng.uniform(1800, 5400)), 0.0


# -- situations of operation --------------------------------------------------------------------


def _suspended(d: _Draw, values: Array) -> tuple[Array, Array]:
    """Move the clock on by hours at one instant; the process did nothing meanwhile."""
    at = int(d.rng.uniform(0.2, 0.7) * d.t.size)
    gap = d.rng.uniform(0.25, 5) * HOUR
    return np.where(np.arange(d.t.size) >= at, d.t + gap, d.t), values


@_family("X01_clock_gap_leak")
def _x01(d: _Draw) -> tuple[Array, float]:
    return _suspended(d, _line(d)), 0.0  # its own clock


@_family("X02_clock_gap")
def _x02(d: _Draw) -> tuple[Array, float]:
    values = _flat(d) + _saw(d.rng, d.t, d.rng.uniform(5, 60), d.rng.uniform(20, 300))
    return _suspended(d, values), 0.0  # its own clock


@_family("X03_trim_leak")
def _x03(d: _Draw) -> tuple[Array, float]:
    at = d.rng.uniform(0.1, 0.4) * d.end
    return _line(d) + np.where(d.t < at, d.rng.uniform(20, 100), 0), 0.0


@_family("X04_trim")
def _x04(d: _Draw) -> tuple[Array, float]:
    """The allocator holds the load's high water and gives it back all at once, now and then."""
    load = d.base + _autoregressive(d.rng, d.t.size, 0.98, d.rng.uniform(3, 15))
    cuts = np.sort(d.rng.uniform(0, d.t.size, int(d.rng.integers(1, 5)))).astype(int)
    parts = [np.maximum.accumulate(part) for part in np.split(load, cuts) if part.size]
    return np.concatenate(parts) + 0.2 * d.noise, 0.0


@_family("X05_restart_leak", 2 * READINGS)
def _x05(d: _Draw) -> tuple[Array, float]:
    at = d.rng.uniform(0.1, 0.3) * d.end
    since = np.where(d.t < at, d.t, d.t - at)
    warm = d.rng.uniform(10, 60) * (1 - np.exp(-since / d.rng.uniform(60, 600)))
    return _flat(d) + warm + d.rate * since, 0.0


@_family("X06_restart")
def _x06(d: _Draw) -> tuple[Array, float]:
    at = d.rng.uniform(0.1, 0.7) * d.end
    since = np.where(d.t < at, d.t, d.t - at)
    warm = d.rng.uniform(20, 300) * (1 - np.exp(-since / d.rng.uniform(120, 2400)))
    return _flat(d) + warm, 0.0


def _day(d: _Draw, height: float) -> Array:
    """Return a season of 24 h with a half-height weekend and a harmonic."""
    phase = d.rng.uniform(0, 24 * HOUR)
    angle = 2 * np.pi * (d.t + phase) / (24 * HOUR)
    weekday = ((d.t + phase) // (24 * HOUR) + int(d.rng.integers(0, 7))) % 7 < 5
    shape = 0.5 - 0.5 * np.cos(angle) + d.rng.uniform(0, 0.2) * np.sin(2 * angle)
    return height * shape * np.where(weekday, 1.0, 0.6)


_WEEK = int(7 * 24 * HOUR / STEP_SECONDS)


@_family("X07_diurnal_leak", _WEEK)
def _x07(d: _Draw) -> tuple[Array, float]:
    return _line(d) + _day(d, d.rng.uniform(20, 150)), 0.0


@_family("X08_diurnal", _WEEK)
def _x08(d: _Draw) -> tuple[Array, float]:
    return _flat(d) + _day(d, d.rng.uniform(20, 150)), 0.0


@_family("X09_fork_reset")
def _x09(d: _Draw) -> tuple[Array, float]:
    """A child after fork: its resident pages begin near nothing and it touches the rest slowly."""
    touched = d.rng.uniform(20, 200) * (1 - np.exp(-d.t / d.rng.uniform(60, 1800)))
    steps = _flat(d) * 0.2 + touched
    for at in d.rng.uniform(0.05, 0.95, 2) * d.end:
        steps = steps + np.where(d.t > at, d.rng.uniform(2, 30), 0)
    return steps, 0.0


def _walk(d: _Draw, min_step: float, max_step: float) -> Array:
    """Return a random walk between two walls; its steps are shares of the band between them."""
    band = d.rng.uniform(10, 100)
    step = _log_uniform(d.rng, min_step, max_step) * band
    walk = d.rng.uniform(0, band) + np.cumsum(d.rng.normal(0, step, d.t.size))
    return np.abs((walk % (2 * band)) - band)


@_family("X10_free_walk")
def _x10(d: _Draw) -> tuple[Array, float]:
    """N11 with steps so small that no wall is met within six hours: a drift for all one can see."""
    return _flat(d) + _walk(d, 0.004, 0.01), 0.0


@_family("X11_long_fill")
def _x11(d: _Draw) -> tuple[Array, float]:
    """A cache that fills for longer than the least window: what no test can tell in time."""
    return _flat(d) + d.rng.uniform(20, 100) * np.minimum(d.t / d.rng.uniform(9000, 16000), 1), 0.0


LINEAR = (
    "L01_linear",
    "L02_linear_saw",
    "L03_linear_periodic",
    "L04_linear_slow_periodic",
    "L05_linear_after_warmup",
    "L06_staircase",
    "L10_delayed",
    "L12_step_down",
    "L13_heavy_spikes",
    "L14_missing",
    "L15_autoregressive",
    "L16_quantised",
    "X01_clock_gap_leak",
    "X03_trim_leak",
    "X05_restart_leak",
)
LEAKING = tuple(name for name in FAMILIES if name[0] == "L" or name.endswith("_leak"))
BENIGN = tuple(name for name in FAMILIES if name not in LEAKING)
