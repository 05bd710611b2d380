"""Campaigns: many runs, and the table that they make."""
