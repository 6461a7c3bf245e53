"""Any text as a project file either loads or is a ConfigError."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.config import load
from aigc.errors import ConfigError
from aigc.schema import Project

_WORDS = "name|: |\n|  |- |a|1|[|]|{|}|&x |*x|<<|!!int |!!bool |clean|rules|number|split|'|? |#|~|\x00|é|---|%".split("|")
_YAML_LIKE = st.lists(st.sampled_from(_WORDS), max_size=25).map("".join)


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=200) | _YAML_LIKE | _YAML_LIKE.map(lambda text: f"name: a\n{text}"))
def test_any_text_loads_or_is_a_config_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        assert isinstance(load(path), Project)
    except ConfigError as caught:
        assert str(caught).startswith(str(path))
