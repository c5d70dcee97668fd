"""What every test shares: a log that speaks only of trouble."""

from __future__ import annotations

from core import logs

logs.configure("ERROR")
