"""The HTTP side: collector, API, pages; gets its services as arguments."""
