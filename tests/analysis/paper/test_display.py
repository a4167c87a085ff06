"""How far the paper is, where nobody watches."""

import time

from analysis.paper import display


def test_a_log_says_now_and_then_how_far_it_is_and_at_the_end_how_long_it_took(monkeypatch, capsys):
    monkeypatch.setattr(display, "LATE", 0.0)
    with display.Display(20) as bar, bar.part("embedding", 10) as report:
        report(1, 4)
        time.sleep(0.9)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "12%: embedding" and lines[-1] == "embedding: 1 s"
