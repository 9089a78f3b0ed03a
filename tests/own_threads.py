"""The running threads of memlens, also those that only wait."""

import gc

from memlens._own_thread import OwnThread


def own_threads(name=None):
    """Return the running threads of memlens, or those of one name."""
    found = [one for one in gc.get_objects() if issubclass(type(one), OwnThread) and one.is_alive()]
    return [one for one in found if name in (None, one.name)]
