"""Verbs that run at a time, without anybody asking."""
