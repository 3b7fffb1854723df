"""What limits on a read path bound, and at which price."""
