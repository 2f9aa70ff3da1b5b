"""What runs while nobody looks: health checks, backups by schedule, history, alerts, metrics."""
