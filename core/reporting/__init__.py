"""What a run came to: figures from stored cycles and trades alone, pure, and without any rendering."""
