"""Reading and writing files: whole or not at all, and strangers' files within limits."""
