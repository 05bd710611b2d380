"""What ends a run from outside: said in a sentence, with the status that shells expect."""

import os
import signal
import subprocess
import sys
import time

import pytest

TRAINING = ("run", "demo", "--set", "target.training.epochs=2000", "--set", "judging=null")


def started(tmp_path, **how):
    environment = os.environ | {"BRAINLEAKS_STORE": str(tmp_path / "store")}
    command = [sys.executable, "-m", "brainleaks", *TRAINING, "--out", str(tmp_path / "run")]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, **how)


def wait_for_a_checkpoint(cache):
    for _ in range(1_200):
        if list(cache.glob("*.checkpoint")):
            return
        time.sleep(0.05)
    raise TimeoutError("no checkpoint")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_is_answered_with_what_is_kept(tmp_path, name):
    run = started(tmp_path)
    wait_for_a_checkpoint(tmp_path / "store")
    number = getattr(signal, name)
    run.send_signal(number)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 128 + number
    assert said.splitlines()[-1] == (
        f"brainleaks: interrupted by {name}. Finished stages and the last checkpoint are kept; "
        "run the same command again to resume."
    )
    assert "Traceback" not in said
    left = [path.name for path in tmp_path.rglob("*.unfinished")]
    assert not left
    assert list((tmp_path / "store").glob("*.checkpoint"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_nohup_is_respected(tmp_path):
    run = started(tmp_path, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    wait_for_a_checkpoint(tmp_path / "store")
    run.send_signal(signal.SIGHUP)
    time.sleep(1)
    assert run.poll() is None
    run.kill()
    run.communicate()
