"""Verbs that need somebody outside, and how they are finished."""
