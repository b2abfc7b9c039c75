from benchmarks import speed


def test_a_process_measures_its_asks_on_one_thread():
    found = speed._elsewhere("hybridbo", 12)
    assert 0 < found["cpu_s"] < 5
    assert 0 < found["imports_mb"] <= found["peak_mb"]
    assert found["threads"] == 1


def test_a_method_that_fails_gives_no_figures(capsys):
    assert speed._elsewhere("hybridbo", "many") == {}
    assert "Error" in capsys.readouterr().err


def test_medians_are_over_the_processes_of_a_method(monkeypatch, capsys):
    runs = {"hybridbo": iter([0.02, 0.01, 0.9]), "optuna-gp": iter([0.2, 0.1, 0.3])}

    def given(method, n):
        return {"cpu_s": next(runs[method]), "wall_s": 1.0, "peak_mb": 100.0, "imports_mb": 90.0, "threads": 1}

    monkeypatch.setattr(speed, "_elsewhere", given)
    speed.main([20])
    assert capsys.readouterr().out.splitlines()[-1].startswith("| 20 | 20 | 1000 | 100 | 90 | 200 | 1000 |")


def test_a_peer_that_is_not_installed_leaves_its_cells_empty(monkeypatch, capsys):
    def given(method, n):
        return {} if method == "optuna-gp" else {"cpu_s": 0.01, "wall_s": 1.0, "peak_mb": 1.0, "imports_mb": 1.0}

    monkeypatch.setattr(speed, "_elsewhere", given)
    speed.main([20])
    assert "not installed" in capsys.readouterr().out


def test_one_method_alone_has_no_ratios(monkeypatch, capsys):
    monkeypatch.setattr(
        speed, "_elsewhere", lambda method, n: dict.fromkeys(("cpu_s", "wall_s", "peak_mb", "imports_mb"), 1.0)
    )
    speed.main([1000], ["hybridbo"])
    head, _, row = capsys.readouterr().out.splitlines()
    assert "optuna" not in head
    assert row == "| 1000 | 1000 | 1000 | 1 | 1 |"
