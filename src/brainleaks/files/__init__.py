"""Reading and writing files: atomically, and untrusted files within limits."""
