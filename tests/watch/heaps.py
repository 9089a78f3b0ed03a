"""Snapshot files of a small planted heap with a leak, as a profiler would have written them."""

from tests.leaks.test_suspects import leaking_dict, series

MIB = 1 << 20


def planted(rounds, **facts):
    """Snapshots of one process whose dict ``app.sessions`` gains ten sessions in each."""
    return series(leaking_dict, rounds=rounds, **facts)


def save(folder, snapshots, first=0):
    """Save snapshots with readings of 100 MiB, 110 MiB and so on; return the paths."""
    folder.mkdir(exist_ok=True)
    paths = []
    for number, snapshot in enumerate(snapshots[first:], first):
        rss_bytes = (100 + 10 * number) * MIB
        snapshot.facts["memory"] = {"rss_bytes": rss_bytes, "limit_bytes": 1024 * MIB}
        path = folder / f"heap-{number:02}.memlens"
        snapshot.save(path)
        paths.append(str(path))
    return paths
