"""What a deployment is asked for. Its own file, as main.py may load twice and a name be declared only once."""

from __future__ import annotations

from firebase_functions import params

ALPACA_KEYS = [params.SecretParam("ALPACA_PAPER_API_KEY"), params.SecretParam("ALPACA_PAPER_SECRET_KEY")]
OPENAI_KEY = params.SecretParam("OPENAI_API_KEY")
"""`none` where nobody is to be asked."""
