"""Where memory is allocated: sampled profiles, exact traces, measured blocks and counts by hand."""
