"""What the settings say of plugins: which run, with what, and whose uploads are taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sark_opa.bundled import folder
from sark_opa.errors import ConfigurationError
from sark_opa.evaluation.configured import configs_of, plugins_of, trust_of
from sark_opa.kit.pack import pack
from sark_opa.settings import Settings


def settings(**given: object) -> Settings:
    """Settings that say no more than this."""
    return Settings(database_url="postgresql://nobody", **given)  # type: ignore[arg-type]  # validated by pydantic


@pytest.mark.parametrize("text", ["- rate_limit", "rate_limit: 5", "rate_limit: [", "\x00"])
def test_a_plugin_configuration_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """By its variable and its path."""
    file = tmp_path / "plugins.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"SARK_PLUGINS_CONFIG_FILE: .*plugins\.yaml"):
        configs_of(file)


def test_an_empty_plugin_configuration_is_none(tmp_path: Path) -> None:
    """As is no file at all."""
    file = tmp_path / "plugins.yaml"
    file.write_text("# nothing yet\n")
    assert configs_of(file) == configs_of(None) == {}


def test_a_plugin_gets_its_part_of_the_configuration(tmp_path: Path) -> None:
    """By the name of its folder; a part that is nobody's is a mistake."""
    file = tmp_path / "plugins.yaml"
    file.write_text("rate_limit: {max_requests: 5}\n")
    one, other = plugins_of(settings(plugins="rate_limit, business_hours", plugins_config_file=file))
    assert (one.path.name, one.config) == ("rate_limit", {"max_requests": 5})
    assert (other.path.name, other.config) == ("business_hours", None)
    with pytest.raises(ConfigurationError, match="rate_limit is not among the plugins"):
        plugins_of(settings(plugins="business_hours", plugins_config_file=file))


def test_a_packed_plugin_s_configuration_is_under_its_own_name(tmp_path: Path) -> None:
    """Whatever its file is called; a single file's is under the file's."""
    _, archive = pack(folder("plugins") / "rate_limit")
    (tmp_path / "rate_limit-2.0.0.sarkplugin").write_bytes(archive)
    (tmp_path / "mine.py").write_text("")
    file = tmp_path / "plugins.yaml"
    file.write_text("rate_limit: {max_requests: 5}\nmine: {a: 1}\n")
    names = f"{tmp_path}/rate_limit-2.0.0.sarkplugin,{tmp_path}/mine.py"
    packed, single = plugins_of(settings(plugins=names, plugins_config_file=file))
    assert (packed.config, single.config) == ({"max_requests": 5}, {"a": 1})


def test_a_bundled_plugin_that_is_none_is_told_with_those_there_are() -> None:
    """Before anything is started."""
    with pytest.raises(ConfigurationError, match=r"no bundled plugin 'rate_limits'; there are .*rate_limit"):
        plugins_of(settings(plugins="rate_limits"))


def test_with_keys_unsigned_uploads_are_refused_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    """Without keys they are taken unless it is said otherwise."""
    key = Ed25519PrivateKey.generate().public_key()
    (tmp_path / "ours.pub.pem").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert trust_of(settings()).unsigned == "allow"
    assert trust_of(settings(plugin_unsigned="refuse")).unsigned == "refuse"
    trust = trust_of(settings(plugin_keys=str(tmp_path)))
    assert (trust.unsigned, [known.name for known in trust.keys.values()]) == ("refuse", ["ours"])
    assert trust_of(settings(plugin_keys=str(tmp_path), plugin_unsigned="allow")).unsigned == "allow"
    with pytest.raises(ConfigurationError, match="missing"):
        trust_of(settings(plugin_keys=str(tmp_path / "missing")))
