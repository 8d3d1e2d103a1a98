"""What must survive a restart, behind one small interface: a SQLite file, or memory."""
