"""``hybridbo demo``: a real search on real data, which needs scikit-learn (``pip install "hybridbo[demo]"``)."""
