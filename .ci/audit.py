"""Known vulnerabilities of the locked packages. Exit status 0: none; 1: some, listed; 3: not everything was looked up.

`python .ci/audit.py PIP_AUDIT`. pip-audit alone ends with 0 where its service knows none of the packages.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).parent.parent / "requirements.lock"
OPTIONS = ("--no-deps", "--disable-pip", "--progress-spinner=off", "--format=json", "--timeout=15")
VULNERABLE, NOT_LOOKED_UP = 1, 3


def main() -> int:
    """The exit status, everything told."""
    done = subprocess.run([sys.argv[1], f"--requirement={LOCK}", *OPTIONS], capture_output=True, text=True)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError:
        print((done.stderr.strip().splitlines() or ["pip-audit printed nothing"])[-1])
        print("audit: nothing was looked up; try again where the service can be reached")
        return NOT_LOOKED_UP
    found = [(package, one) for package in packages for one in package.get("vulns", ())]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    for package, one in found:
        fixed = ", ".join(one["fix_versions"]) or "no version"
        print(f"audit: {package['name']} {package['version']} has {one['id']}, fixed in {fixed}")
    if skipped:
        print(f"audit: {len(skipped)} of {len(packages)} packages were not looked up, {', '.join(skipped[:3])} first")
    if found:
        return VULNERABLE
    if skipped or not packages:
        print("audit: try again where the service can be reached")
        return NOT_LOOKED_UP
    print(f"audit: no known vulnerability in {len(packages)} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
