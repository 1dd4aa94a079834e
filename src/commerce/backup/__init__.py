"""Backups of the database: one file each, taken while serving, checked before it is restored."""
