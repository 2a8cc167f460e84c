#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo, shortened: the shop's canary turns bad, Picket decides, the rollback is obeyed, and every real backend holds what was sent."""
import re
import subprocess
import sys

import agent_story
from agent_story import ROOT, backends


def main():
    missing = [n for n in ("prometheus", "loki", "tempo") if not backends.find(n)]
    if missing:
        agent_story.skip(f"no {', '.join(missing)}; `./dev peers` builds them")
    result = subprocess.run([sys.executable, str(ROOT / "demo/demo.py"), "--picket", str(agent_story.BINARY), "--port=0", "--baseline=8", "--healthy=6",
                             "--after=10"], capture_output=True, text=True, timeout=300)
    out = result.stdout
    assert result.returncode == 0, out + result.stderr
    assert "ROLLBACK signal received" in out, out
    have, sent = map(int, re.search(r"Prometheus has (\d+) sales of (\d+)", out).groups())
    assert have > 0.8 * sent, out  # the last seconds are on their way, the first scrape of a target is its base
    assert int(re.search(r"Loki has (\d+) log lines", out).group(1)) > 0.8 * sent, out
    assert "SLO shop-sales" in out, out
    for line in out.splitlines():
        if "queued" in line and " in = " in line:
            n = [int(x) for x in re.search(r"(\d+) \w+ in = (\d+) out \+ (\d+) queued \+ (\d+) dropped", line).groups()]
            assert n[0] == sum(n[1:]) and n[3] == 0, line
    print(re.search(r"ROLLBACK.*", out).group(0))


if __name__ == "__main__":
    main()
