"""The lake: telemetry in open Parquet tables with their catalog in PostgreSQL (DuckLake).

The only room that speaks DuckDB. It is asked for series numbers and never knows whose they are.
"""
