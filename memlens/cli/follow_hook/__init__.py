"""The folder that ``run --follow-children`` puts on PYTHONPATH: it has a ``sitecustomize`` only."""
