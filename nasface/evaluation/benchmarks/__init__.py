"""The published benchmarks, one file each: set, points, protocol. Files here are found by themselves."""
