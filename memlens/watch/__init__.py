"""What a profiler keeps and does while it watches: records, files, detectors, a thread for work."""
