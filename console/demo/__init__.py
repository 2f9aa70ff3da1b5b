"""MediaNest on an embedded PostgreSQL: its migrations, sample data and a modest workload."""

from console.demo.runner import Demo, DemoOptions, default_directory, demo

__all__ = ["Demo", "DemoOptions", "default_directory", "demo"]
