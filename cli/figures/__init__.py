"""The figures of a whole run, as its reports, charts and sweeps show them; no function needs them."""
