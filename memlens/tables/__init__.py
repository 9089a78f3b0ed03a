"""Tables: what profilers observe as rows, in Parquet files for any engine that reads those."""
