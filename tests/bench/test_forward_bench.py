"""New clients in forward mode beside stock mitmdump, in one run."""

import pytest

from tests.bench.forward import DELAY_S, compare, table


@pytest.mark.bench
@pytest.mark.timeout(300)
def test_a_one_shot_client_hears_sooner_by_the_handshakes_its_proxy_spares_it(tmp_path, capsys):
    """Stock mitmdump opens a connection to the upstream for each client: TCP's round trip, TLS's, then the request's own.

    A warm pool has the first two behind it.
    """
    us, *others = contenders = compare(tmp_path)
    with capsys.disabled():
        print(f"\n\n{table(contenders)}\n")
    for stock in others:
        spared = stock.median("first byte ms") - us.median("first byte ms")
        assert spared > DELAY_S * 1000 * 0.9, stock.name  # one TLS handshake of the upstream's, at least
        assert us.median("cpu ms") < stock.median("cpu ms"), stock.name


@pytest.mark.slow
def test_the_measurement_itself(tmp_path):
    """A short run without delay, so that the benchmark is tested with every run of the slow tests."""
    contenders = compare(tmp_path, rounds=1, shots=2, seconds=0.2, delay=0)
    for one in contenders:
        assert one.median("handshakes a second") > 1
        assert one.median("first byte ms") >= one.median("tls ms") > 0
