"""Sending allocation profiles over HTTP: requests, delivery, and the settings of OpenTelemetry."""
