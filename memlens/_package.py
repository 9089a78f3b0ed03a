"""The folder that memlens is installed in, by which its own frames and files are recognised."""

from __future__ import annotations

import os

__all__ = ("CODE_FOLDER", "PACKAGE_FOLDER")

PACKAGE_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep

# What code objects say: `__file__` may name another folder where compiled files were moved.
CODE_FOLDER = os.path.dirname((lambda: None).__code__.co_filename) + os.sep
