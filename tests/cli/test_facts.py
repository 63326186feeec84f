"""`kw verify` and `kw storage` on a running instance, as people call them."""

import json
import time

import httpx

from tests.cli.conftest import Instance, run_kw
from tests.conftest import wait_until


def send(instance: Instance, key: str, base_ms: int) -> None:
    """A hundred readings of one device through the HTTP door."""
    readings = [{"device": "D1", "ts": base_ms + k, "metrics": {"power": k}} for k in range(100)]
    url = f"http://127.0.0.1:{instance.run_file()['port']}/api/v1/readings"
    answer = httpx.post(url, json=readings, headers={"Authorization": f"Bearer {key}"}, timeout=30)
    assert answer.status_code == 202


def test_everything_accepted_is_verified_and_weighed(running: Instance) -> None:
    data = ("--data", str(running.data))
    wish = ("--organisation", "acme", "--create", "--scopes", "ingest,read", "--auto-register")
    key = json.loads(run_kw("key", "create", *wish, *data).stdout)["key"]
    base_ms = time.time_ns() // 1_000_000 - 3_600_000
    for _ in range(2):
        send(running, key, base_ms)

    def is_stored() -> bool:
        return bool(json.loads(run_kw("verify", "--json", *data).stdout)["totals"]["accepted"] == 200)

    wait_until(is_stored, 60, "two stored requests")
    told = json.loads(run_kw("verify", "--json", "--organisation", "acme", *data).stdout)
    assert told["ok"]
    assert (told["totals"]["stored"], told["totals"]["repeats"]) == (100, 100)
    assert [account["device"] for account in told["accounts"]] == ["acme/D1"]
    shown = run_kw("verify", *data)
    assert shown.returncode == 0
    assert "everything holds" in shown.stdout
    assert "There is no such organisation" in run_kw("verify", "--organisation", "none", *data).stderr

    weighed = json.loads(run_kw("storage", "--merge", "--json", *data).stdout)
    assert weighed["samples"] == 100
    assert weighed["metrics"] == [{"metric": "power", "samples": 100, "bytes": weighed["tables"][0]["bytes"]}]
    assert weighed["tables"][0]["files"] == 1
    assert "bytes a sample" in run_kw("storage", *data).stdout
