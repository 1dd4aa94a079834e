"""Money, ids, time, lifecycles and errors: pure, and below every other layer."""
