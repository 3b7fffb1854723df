"""What runs need, found or made before the first of them. `equipment.prepare` makes all of it."""
