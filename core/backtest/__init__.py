"""Backtesting: the cycle's own judgement and books over recorded prices, in one process and in memory."""
