"""The leak detector: a robust trend test over a series of readings."""
