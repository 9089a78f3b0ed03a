"""The live screen of ``python -m memlens watch``: sources of values, their model, and the screens.

The screens know only the protocol `memlens.watch.source.Source`; everything that needs textual is in
``app`` and ``screens``.
"""
