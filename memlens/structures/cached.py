"""A decorator that caches the results of functions and methods, with bounds."""

from __future__ import annotations

import functools
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Hashable
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from memlens.structures._arguments import require_callable
from memlens.structures.lru import LRUCache

__all__ = ("CachedFunction", "cached")

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")

_MISSING: Any = object()
_KEYWORDS = object()  # separates positional from keyword arguments in a key
_PLAIN = frozenset((int, str))
_HOLDER = "_memlens_cached"  # the only name added to the namespace of an instance
_creating = threading.RLock()
# The caches of instances without a __dict__, while these are alive.
_by_identity: dict[int, tuple[weakref.ref[Any], _Holder]] = {}


def call_key(*args: Hashable, **kwargs: Hashable) -> Hashable:
    """Return the key of a call: its arguments as passed, keywords in any order."""
    if kwargs:
        return (*args, _KEYWORDS, frozenset(kwargs.items()))
    if len(args) == 1 and type(args[0]) in _PLAIN:
        return args[0]
    return args


@overload
def cached(function: Callable[P, R], /) -> CachedFunction[P, R]: ...
@overload
def cached(
    function: None = None,
    /,
    *,
    max_entries: int | None = 1000,
    max_bytes: int | None = None,
    ttl: float | None = None,
    size_of: Callable[[Any], int] | None = None,
    on_evict: Callable[[Any, Any], object] | None = None,
    clock: Callable[[], float] = time.monotonic,
    key: Callable[..., Hashable] = call_key,
) -> Callable[[Callable[P, R]], CachedFunction[P, R]]: ...
def cached(
    function: Callable[P, R] | None = None,
    /,
    *,
    key: Callable[..., Hashable] = call_key,
    **bounds: Any,
) -> CachedFunction[P, R] | Callable[[Callable[P, R]], CachedFunction[P, R]]:
    """Cache the results of a function or method in an `LRUCache` (same options, same defaults).

    **Use it** as ``@cached`` or ``@cached(max_entries=100, ttl=60)`` in place of
    ``functools.lru_cache``, which keeps ``self`` alive. Results do not expire by age unless ``ttl`` is
    given; the least recently used of more than ``max_entries`` (1000) are dropped. If several
    threads and tasks call with equal arguments at the same time, the function runs once. An error
    reaches all of them and is not cached (see `LRUCache.get_or_compute`). The result of an ``async
    def`` is cached after it was awaited once.

    **A method** has one cache per instance, and the bounds apply to each. The cache is stored in
    the ``__dict__`` of the instance and freed with it, even if results refer to the instance.
    Copies and pickles of the instance start with an empty cache. Instances need not be hashable. An
    instance without ``__dict__`` must support weak references (``__slots__ = (..., "__weakref__")``),
    and its results must not refer to it, or it stays alive until they are removed. Otherwise the
    call raises TypeError. Put ``@cached`` below ``@staticmethod`` and ``@classmethod``. A class
    method has one cache per class before Python 3.13; since then it has one cache for all classes,
    which keeps the classes alive.

    ``key(*args, **kwargs)`` makes the key from the arguments (without ``self``). By default
    arguments are used as passed: ``f(1)`` and ``f(x=1)`` are different keys. Arguments that cannot
    be hashed raise TypeError.

    ``f.cache`` is the `LRUCache` of a function, ``Class.method.cache_of(instance)`` that of a
    method, ``f.__wrapped__`` the function itself.

    **Cost**: a hit takes about 0.6 µs, 15 times as long as ``functools.lru_cache``, which is
    written in C and has no bounds of age or bytes. Do not use it for functions that take a
    microsecond themselves.
    """
    require_callable("key", key)
    LRUCache(**bounds)  # raises for bad bounds now instead of at the first call

    def decorate(function: Callable[P, R]) -> CachedFunction[P, R]:
        kind: type[CachedFunction[P, R]] = (
            _CachedCoroutineFunction if _is_coroutine(function) else CachedFunction
        )
        return kind(function, key, functools.partial(LRUCache, **bounds))

    return decorate if function is None else decorate(function)


def _is_coroutine(function: object) -> bool:
    import inspect

    if not callable(function):
        raise TypeError(
            f"cached() needs a function, not {type(function).__name__}: put @cached below "
            "@classmethod, @staticmethod and @property"
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"cached() cannot cache the generator function {function!r:.100}: its result can be"
            " iterated only once. Return a list or a tuple instead"
        )
    return inspect.iscoroutinefunction(function)


class CachedFunction(Generic[P, R]):
    """A function decorated by ``@cached``: call it as before; ``cache`` has the results."""

    __wrapped__: Callable[P, R]

    def __init__(
        self,
        function: Callable[P, R],
        key: Callable[..., Hashable],
        make_cache: Callable[[], LRUCache[Hashable, R]],
    ) -> None:
        self._function: Callable[..., R] = function
        self._key = key
        self._make_cache = make_cache
        self.cache = make_cache()  #: the results of a function
        self._method = self._make_method()
        functools.update_wrapper(self, function)
        functools.update_wrapper(self._method, function)
        self._method.cache_of = self.cache_of  # type: ignore[attr-defined]  # functions accept any attribute

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the cached or new result for these arguments."""
        key = self._key(*args, **kwargs)
        value = self._lookup(self.cache, key)
        if value is not _MISSING:
            return value
        return self.cache._compute(key, functools.partial(self._function, *args, **kwargs))

    @overload
    def __get__(self, instance: None, owner: type) -> CachedFunction[P, R]: ...
    @overload
    def __get__(
        self: CachedFunction[Concatenate[S, Q], R], instance: S, owner: type | None = None
    ) -> Callable[Q, R]: ...
    def __get__(self, instance: object, owner: type | None = None) -> object:
        """Bind to an instance, as functions do."""
        return self._method if instance is None else MethodType(self._method, instance)

    def __repr__(self) -> str:
        return f"<cached {self._function!r}>"

    def cache_of(self, instance: object) -> LRUCache[Hashable, R]:
        """Return the cache of this method for one instance."""
        caches = _holder_of(instance).caches
        cache = caches.get(self)
        if cache is None:
            cache = caches.setdefault(self, self._make_cache())
        return cache

    def _lookup(self, cache: LRUCache[Hashable, R], key: Hashable) -> R:
        try:
            value: R = cache.get(key, _MISSING)
            return value
        except TypeError as error:
            raise self._refused(key, error) from error

    def _refused(self, key: Hashable, error: TypeError) -> TypeError:
        try:
            hash(key)
        except TypeError:
            return TypeError(
                f"{self._function!r:.100} was called with an argument that cannot be part of a key "
                f"({error}): pass something hashable, or give cached(key=...) a function that "
                "makes a key of the arguments"
            )
        return error

    def _make_method(self) -> Callable[..., Any]:
        def method(instance: object, /, *args: object, **kwargs: object) -> R:
            cache = self.cache_of(instance)
            key = self._key(*args, **kwargs)
            value = self._lookup(cache, key)
            if value is not _MISSING:
                return value
            call = functools.partial(self._function, instance, *args, **kwargs)
            return cache._compute(key, call)

        return method


class _CachedCoroutineFunction(CachedFunction[P, Any]):
    def __init__(
        self,
        function: Callable[P, Any],
        key: Callable[..., Hashable],
        make_cache: Callable[[], LRUCache[Hashable, Any]],
    ) -> None:
        super().__init__(function, key, make_cache)
        _mark_coroutine_function(self)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> object:
        key = self._key(*args, **kwargs)
        value = self._lookup(self.cache, key)
        if value is not _MISSING:
            return value
        call = functools.partial(self._function, *args, **kwargs)
        return await self.cache._compute_async(key, call)

    def _make_method(self) -> Callable[..., Coroutine[Any, Any, Any]]:
        async def method(instance: object, /, *args: object, **kwargs: object) -> object:
            cache = self.cache_of(instance)
            key = self._key(*args, **kwargs)
            value = self._lookup(cache, key)
            if value is not _MISSING:
                return value
            call = functools.partial(self._function, instance, *args, **kwargs)
            return await cache._compute_async(key, call)

        return method


def _mark_coroutine_function(function: object) -> None:
    """Make ``iscoroutinefunction(function)`` true; web frameworks check it before a call."""
    import inspect

    if hasattr(inspect, "markcoroutinefunction"):  # Python 3.12
        inspect.markcoroutinefunction(function)
        return
    import asyncio

    marker = "_is_coroutine"
    setattr(function, marker, getattr(asyncio.coroutines, marker))


class _Holder:
    """The caches of one instance, by method. Copies and unpickled objects have no owner yet."""

    __slots__ = ("caches", "owner")

    def __init__(self, owner: Callable[[], object] = lambda: None) -> None:
        self.owner = owner
        self.caches: dict[object, LRUCache[Hashable, Any]] = {}

    def __reduce__(self) -> tuple[type[_Holder], tuple[()]]:
        return _Holder, ()


def _holder_of(instance: object) -> _Holder:
    names = getattr(instance, "__dict__", None)
    if type(names) is not dict:  # __slots__; or a class, whose namespace is read-only
        return _holder_by_identity(instance)
    holder = names.get(_HOLDER)
    if holder is None or holder.owner() is not instance:  # none, or copied from another instance
        with _creating:
            holder = names.get(_HOLDER)
            if holder is None or holder.owner() is not instance:
                holder = names[_HOLDER] = _Holder(_owner(instance))
    found: _Holder = holder
    return found


def _owner(instance: object) -> Callable[[], object]:
    try:
        return weakref.ref(instance)
    except TypeError:
        return lambda: instance  # a cycle within the instance, which the garbage collector can free


def _holder_by_identity(instance: object) -> _Holder:
    number = id(instance)
    known = _by_identity.get(number)
    if known is not None:
        return known[1]
    try:
        # The callback runs before another object can get the same id.
        reference = weakref.ref(instance, lambda _: _by_identity.pop(number, None))
    except TypeError:
        raise TypeError(
            f"@cached cannot cache results for {type(instance).__qualname__} objects without keeping"
            " them alive: they have no __dict__ and do not support weak references. Add"
            ' "__weakref__" to __slots__'
        ) from None
    with _creating:
        return _by_identity.setdefault(number, (reference, _Holder()))[1]
