"""External record formats, one file each: bytes in, columns and rejects out."""
