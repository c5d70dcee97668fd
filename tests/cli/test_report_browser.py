"""The HTML report in a real browser: light, on a wide and on a narrow screen, with its charts drawn."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from cli.charts import LIGHT
from cli.report import write_report
from tests.cli.test_report import page_of, run_of

CHROMIUM = shutil.which("chromium")
WITHIN_S = 90


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed; apt-get install chromium brings one")
@pytest.mark.parametrize("width", [1100, 500])
def test_the_page_and_its_charts_are_drawn(tmp_path: Path, width: int) -> None:
    run = run_of(30)
    write_report(page_of(run), run, tmp_path)
    picture = tmp_path / "page.png"

    subprocess.run(
        [
            *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *(f"--user-data-dir={tmp_path}/profile", f"--window-size={width},2600", f"--screenshot={picture}"),
            (tmp_path / "report.html").as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=WITHIN_S,
    )

    seen = np.round(imread(picture)[:, :, :3] * 255).astype(int)
    blue = tuple(int(LIGHT.run[place : place + 2], 16) for place in (1, 3, 5))
    rows = np.flatnonzero((seen == blue).all(axis=2).any(axis=1))
    assert seen.shape[:2] == (2600, width)
    assert (seen[0, 0] == 255).all(), "light"
    assert len(rows) > 100, "the equity, the exposure and the bars are this blue"
