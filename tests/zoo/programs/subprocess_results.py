"""A monitor runs a command now and then and keeps every result with its output."""

import subprocess

from support.pace import LEAK, ticks

results = []


def check(number):
    done = subprocess.run(["head", "-c", "90000", "/dev/zero"], capture_output=True, check=True)
    results.append(done)
    return number


def main():
    for i in ticks():
        if i % 4 == 0:
            check(i)
        if not LEAK:
            del results[:-3]


if __name__ == "__main__":
    main()
