"""Everything that memlens reads, damaged as the bytes of a fuzzer say, and every view over it."""
