"""Files, tables, errors and progress: what every stage reads and writes with."""
