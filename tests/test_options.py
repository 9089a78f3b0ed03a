"""The checks of options: accepted values, and messages that say what to change."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from memlens import _options as options
from memlens.errors import OptionError


class HasNoRepr:
    def __repr__(self):
        raise RuntimeError("no repr")


@pytest.mark.parametrize(
    ("check", "value", "expected"),
    [
        (lambda v: options.check_integer("n", v, 1, 9), 9, 9),
        (lambda v: options.check_integer("n", v), -3, -3),
        (lambda v: options.check_integer("n", v), np.int32(7), 7),
        (lambda v: options.check_count("n", v), 1, 1),
        (lambda v: options.check_bytes("n", v), 0, 0),
        (lambda v: options.check_number("x", v, 0.0, 1.0), 1, 1.0),
        (lambda v: options.check_number("x", v), Fraction(1, 2), 0.5),
        (lambda v: options.check_number("x", v), np.float32(0.5), 0.5),
        (lambda v: options.check_number("x", v, allow_infinity=True), math.inf, math.inf),
        (lambda v: options.check_seconds("s", v), 0.001, 0.001),
        (lambda v: options.check_seconds("s", v, 0), 0, 0.0),
        (lambda v: options.check_boolean("b", v), False, False),
        (lambda v: options.check_text("t", v), "", ""),
        (lambda v: options.check_texts("t", v), ["a", "b"], ("a", "b")),
        (lambda v: options.check_choice("c", v, ("a", None)), None, None),
        (lambda v: options.check_path("p", v), Path("a/b"), "a/b"),
    ],
)
def test_accepted_value_is_returned_in_its_proper_type(check, value, expected):
    result = check(value)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (lambda v: options.check_integer("n", v, 1, 9), 10,
         "n must be a whole number, 1 to 9; got 10"),
        (lambda v: options.check_integer("n", v, 1), 0,
         "n must be a whole number, 1 or more; got 0"),
        (lambda v: options.check_integer("n", v, max_value=9), 10,
         "n must be a whole number, 9 or less; got 10"),
        (lambda v: options.check_integer("n", v), 1.0, "n must be a whole number; got 1.0"),
        (lambda v: options.check_integer("n", v), True, "n must be a whole number; got True"),
        (lambda v: options.check_integer("n", v), "5", "n must be a whole number; got '5'"),
        (lambda v: options.check_count("n", v), 0, "n must be a whole number, 1 or more; got 0"),
        (lambda v: options.check_bytes("n", v), -1, "n must be a whole number, 0 or more; got -1"),
        (lambda v: options.check_number("x", v, 0.0, 1.0), 1.5,
         "x must be a number, 0 to 1; got 1.5"),
        (lambda v: options.check_number("x", v), math.nan, "x must be a number; got nan"),
        (lambda v: options.check_number("x", v), math.inf, "x must be a number; got inf"),
        (lambda v: options.check_number("x", v), 10**400, "x must be a number; got 1000"),
        (lambda v: options.check_number("x", v), "5", "x must be a number; got '5'"),
        (lambda v: options.check_number("x", v), True, "x must be a number; got True"),
        (lambda v: options.check_seconds("s", v), 0, "s must be a number of seconds above 0; got 0"),
        (lambda v: options.check_seconds("s", v, 0.001), 0,
         "s must be a number of seconds, 0.001 or more; got 0"),
        (lambda v: options.check_seconds("s", v), "x",
         "s must be a number of seconds above 0; got 'x'"),
        (lambda v: options.check_boolean("b", v), 1, "b must be True or False; got 1"),
        (lambda v: options.check_text("t", v), b"a", "t must be a string; got b'a'"),
        (lambda v: options.check_texts("t", v), "^app",
         "t must be a sequence of strings; for one string write t=('^app',)"),
        (lambda v: options.check_texts("t", v), 5, "t must be a sequence of strings; got 5"),
        (lambda v: options.check_texts("t", v), ["a", 5],
         "t must be a sequence of strings; it contains 5"),
        (lambda v: options.check_regexes("r", v), ["a", "("],
         "r must be regular expressions; '(' is not one: missing ), unterminated subpattern"),
        (lambda v: options.check_regexes("r", v), "^app", "for one string write r=('^app',)"),
        (lambda v: options.check_choice("c", v, ("a", None)), "b",
         "c must be one of 'a', None; got 'b'"),
        (lambda v: options.check_choice("c", v, (1,)), True, "c must be one of 1; got True"),
        (lambda v: options.check_callable("f", v), 5,
         "f must be a function or another callable; got 5"),
        (lambda v: options.check_path("p", v), "", "p must be a path"),
        (lambda v: options.check_path("p", v), b"a", "p must be a path"),
        (lambda v: options.check_path("p", v), "a\0b", "p must be a path"),
        (lambda v: options.check_path("p", v), 5, "p must be a path"),
    ],
)  # fmt: skip
def test_message_says_what_is_expected_and_what_was_given(check, value, message):
    with pytest.raises(OptionError) as caught:
        check(value)
    assert message in str(caught.value)


def test_regular_expressions_are_returned_compiled():
    (pattern,) = options.check_regexes("r", ["^app"])
    assert pattern.search("app.cache")


def test_shown_value_is_short_and_never_raises():
    assert options.shown("a" * 1000).endswith("aaa...")
    assert len(options.shown("a" * 1000)) == 80
    assert options.shown(HasNoRepr()) == "an object of type HasNoRepr"
