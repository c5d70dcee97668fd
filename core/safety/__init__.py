"""Rules that stop new risk: pure functions over the exact order that is about to be sent."""
