"""Native memory of objects: adapters that tell which blocks an object of a library keeps allocated."""
