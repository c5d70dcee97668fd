"""What is known of the market as a whole, computed and advised: it may make us more careful, never bolder."""
