"""The words of Cronfolio as frozen values: bar, quote, opinion, opportunity, target, intent, order, fill, trade."""
