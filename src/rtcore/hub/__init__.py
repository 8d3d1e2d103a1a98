"""The hub: channels, views, cursors, and who may see what."""
