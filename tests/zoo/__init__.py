"""A zoo of small programs by which the diagnosis of leaks is judged.

Each program in ``programs/`` is an ordinary script of a few seconds. Most of them leak, and are
their own healthy twin: with ``ZOO_TWIN=1`` in the environment the same program runs without the
leak. Some are healthy only. `tests.zoo.catalogue` has a row for each, with what a right diagnosis
says; `tests.zoo.judge` runs them and compares::

    python -m tests.zoo.judge                           # all, four snapshots each
    python -m tests.zoo.judge --form run pending_acks   # under ``python -m memlens run``
    python -m tests.zoo.churn --seeds 200               # a healthy program with many seeds

To add a program:

1. Write ``programs/<name>.py``. Its loop runs over ``support.pace.ticks()`` (in a coroutine:
   ``aticks()``), its random numbers come from ``support.pace.rng``, and ``support.pace.LEAK`` tells
   the leak from the twin. It must be deterministic for one ``ZOO_SEED``, write nothing that matters
   to stdout or stderr, end by itself, and grow by 5 to 40 MiB in its 400 steps. Write it as people
   write such code: a name that hides the leak is better than one that gives it away.
2. Try it: ``python tests/zoo/programs/<name>.py``, and once more with ``ZOO_TWIN=1``.
3. Add a row to the catalogue. ``holders`` are regular expressions for the one place to mend, not for
   what happens to be found today.

The environment scales a run: ``ZOO_SECONDS`` (4), ``ZOO_STEPS`` (400), ``ZOO_SEED`` (1).
"""
