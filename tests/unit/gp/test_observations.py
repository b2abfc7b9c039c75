from hybridbo.gp.observations import encode
from hybridbo.space import Float, Space

LINE = Space({"x": Float(0, 1)})


def test_nothing_encodes_as_no_rows():
    assert encode(LINE, []).shape == (0, 1)


def test_each_configuration_is_a_row():
    assert encode(LINE, [{"x": 0.25}, {"x": 1.0}]).tolist() == [[0.25], [1.0]]
