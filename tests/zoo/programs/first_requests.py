"""Healthy: the first requests of each kind warm up the tables of the standard library."""

import datetime
import decimal
import json
import logging
import mimetypes
import re
import string
import urllib.parse

from support.pace import STEPS, rng, ticks


def request(kind, number):
    if kind == 0:
        return json.loads(json.dumps({"n": number}))
    if kind == 1:
        return urllib.parse.urlsplit(f"http://host/{number % 40}")
    if kind == 2:
        return re.sub(rf"[{string.ascii_letters[number % 26]}]+", "", "some text")
    if kind == 3:
        return mimetypes.guess_type("a.html")
    if kind == 4:
        return datetime.datetime.strptime("2024-01-02", "%Y-%m-%d")
    if kind == 5:
        return decimal.Decimal(number) / 7
    return logging.getLogger(f"service.part{number % 6}")


def main():
    for i in ticks():
        kinds = min(7, 1 + 9 * i // STEPS)
        request(rng.randrange(kinds), i)


if __name__ == "__main__":
    main()
