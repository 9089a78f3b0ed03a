"""Templates are compiled under ever new file names and their source put into linecache."""

import linecache

from support.pace import LEAK, rng, ticks


def compile_template(number):
    lines = [f"value_{n} = {rng.random()}\n" for n in range(100)]
    name = f"<template {number}>" if LEAK else "<template>"
    linecache.cache[name] = (len(lines), None, lines, name)
    namespace = {}
    exec(compile("".join(lines[:3]), name, "exec"), namespace)
    return namespace["value_0"]


def main():
    for i in ticks():
        compile_template(2 * i)
        compile_template(2 * i + 1)


if __name__ == "__main__":
    main()
