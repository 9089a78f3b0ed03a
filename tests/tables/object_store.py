"""An object store in this machine: a server that speaks the protocol of S3."""

from __future__ import annotations

from contextlib import contextmanager

import pytest


@contextmanager
def running_store():
    """Yield the query of URLs to a server, and its ``pyarrow.fs`` file system. Needs moto."""
    from moto.server import ThreadedMotoServer
    from pyarrow import fs

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in keys.items():
            patch.setenv(name, value)
        query = f"scheme=http&endpoint_override={host}:{port}&region=us-east-1"
        query += "&allow_bucket_creation=true"
        filesystem, _ = fs.FileSystem.from_uri(f"s3://tables/?{query}")
        yield query, filesystem
    server.stop()
