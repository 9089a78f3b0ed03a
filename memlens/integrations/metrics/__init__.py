"""The numbers of a profiler for monitoring systems: names, units and labels, for all of them alike."""
