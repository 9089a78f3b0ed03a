"""What is alive and what holds it: capture, graph, dominators, paths, snapshots, comparison."""
