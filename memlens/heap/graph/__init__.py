"""The heap graph of one snapshot: objects, references, roots, dominators, paths and its file."""
