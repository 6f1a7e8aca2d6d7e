"""Feeds for other accounting systems, one file a feed, and how they are delivered."""
