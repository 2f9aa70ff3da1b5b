"""Copies of backups elsewhere: on a NAS, in an S3-compatible store, on an SSH server."""
