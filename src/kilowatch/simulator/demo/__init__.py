"""The demo: three real meters, replayed for ever."""
