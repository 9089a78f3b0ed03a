"""The base of the table values: iteration, tables with a limit, JSON-ready values."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from memlens._rows import Rows
from memlens.errors import OptionError


@dataclass(frozen=True)
class Fruit:
    name: str
    count: int


class Basket(Rows[Fruit]):
    headers = ("count", "name")

    def _cells(self, row):
        return str(row.count), row.name

    def _totals(self):
        return {"count": sum(row.count for row in self.rows)}


class TitledBasket(Basket):
    @property
    def title(self):
        return "Fruit"


FRUIT = [Fruit("apple", 3), Fruit("fig", 20), Fruit("pear", 1)]


def test_rows_are_a_sequence():
    basket = Basket(FRUIT)
    assert list(basket) == FRUIT
    assert len(basket) == 3
    assert basket[1] == FRUIT[1]
    assert basket[-2:] == tuple(FRUIT[1:])
    assert not Basket([])


def test_the_table_states_how_many_rows_the_limit_leaves_out():
    assert Basket(FRUIT).table(2) == "count  name\n    3  apple\n   20  fig\n... and 1 more"
    assert Basket(FRUIT).table(3) == "count  name\n    3  apple\n   20  fig\n    1  pear"


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_a_limit_below_one_is_refused(limit):
    with pytest.raises(OptionError, match="limit must be a whole number, 1 or more"):
        Basket(FRUIT).table(limit)


def test_text_has_the_title_above_the_table():
    assert str(TitledBasket(FRUIT)) == f"Fruit\n\n{Basket(FRUIT).table()}"
    assert str(Basket(FRUIT)) == Basket(FRUIT).table()


def test_repr_is_one_line():
    assert repr(TitledBasket(FRUIT)) == "<TitledBasket: 3 rows>"
    assert repr(Basket(FRUIT[:1])) == "<Basket: 1 row>"


def test_to_dict_has_totals_of_all_rows_and_the_first_rows():
    assert json.loads(json.dumps(Basket(FRUIT).to_dict(1))) == {
        "count": 24,
        "rows": [{"name": "apple", "count": 3}],
    }
    assert len(Basket(FRUIT).to_dict()["rows"]) == 3
