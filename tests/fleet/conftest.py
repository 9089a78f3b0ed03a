"""A session of Spark for the tests of this folder, with two workers.

They are threads. ``MEMLENS_SPARK='local-cluster[2,1,1024]'`` makes them processes, which takes longer.
"""

from __future__ import annotations

import os
import shutil

import pytest


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """A session of Spark on this machine with two workers."""
    sql = pytest.importorskip("pyspark.sql")
    if shutil.which("java") is None:
        pytest.skip("there is no java")
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    place = tmp_path_factory.mktemp("spark")
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.local.dir": str(place / "local"),
        "spark.sql.warehouse.dir": str(place / "warehouse"),
        "spark.sql.shuffle.partitions": "2",
        "spark.log.level": "ERROR",
    }
    builder = sql.SparkSession.builder.master(os.environ.get("MEMLENS_SPARK", "local[2]"))
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()
