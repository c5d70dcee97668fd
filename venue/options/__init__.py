"""Options on the venue: recorded chains, their greeks, orders, fills, exercise, assignment and expiry."""
