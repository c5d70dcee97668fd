"""Recorded market data: which packages hold it, and how it becomes Parquet that the venue reads."""
