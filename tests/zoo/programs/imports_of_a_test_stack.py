"""Healthy: heavy modules of the standard library are imported in two moments of the run."""

from support.pace import STEPS, rng, ticks


def prepare_tests():
    import doctest
    import pydoc
    import unittest.mock

    return doctest, pydoc, unittest.mock.MagicMock()


def prepare_storage():
    import asyncio
    import concurrent.futures
    import decimal
    import multiprocessing.pool
    import sqlite3

    connection = sqlite3.connect(":memory:")
    connection.close()
    return asyncio, concurrent.futures, decimal.Decimal("1.5"), multiprocessing.pool


def main():
    for i in ticks():
        if i == int(STEPS * 0.3):
            prepare_tests()
        if i == int(STEPS * 0.6):
            prepare_storage()
        rng.random()


if __name__ == "__main__":
    main()
