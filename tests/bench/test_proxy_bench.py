"""Our proxy beside stock mitmdump in one run: prints what each costs, and that every answer was right."""

import pytest

from tests.bench.compare import CHUNKS, STREAMS, compare, table


@pytest.mark.bench
@pytest.mark.timeout(300)
def test_our_proxy_beside_stock_mitmdump(tmp_path, capsys):
    """No figure is judged here; wrong, missing or late answers are (they raise in `compare`)."""
    targets = compare(tmp_path)
    with capsys.disabled():
        print(f"\n\n{table(targets)}\n")
    for target in targets:
        assert target.median("streams", "rate") > 0
        assert len(target.figures["streams"]["rate"]) == 5
    assert STREAMS * CHUNKS == 10_000


def test_the_upstream_and_the_load_generator_agree(tmp_path):
    """A short run without any proxy, so that the benchmark itself is tested with every run of the tests."""
    from tests.bench.compare import Target, load, upstream

    with upstream(None) as port:
        target = Target("no proxy", port, None)
        result = load(target, "requests", None, "--concurrency", 4, "--seconds", 0.2)
        assert result["count"] > 10
        streamed = load(target, "streams", None, "--streams", 5)
        assert streamed["count"] == 500
        assert streamed["seconds"] > 0.9
