"""Prisma's migrations: their history, whether the database still is what they make, and back."""
