"""Settings: one object read once, every problem told at once, each with its place."""

from decimal import Decimal
from pathlib import Path

import pytest

from daemon.kernel.errors import BadInput
from daemon.settings import SecretMissing, load, load_with_origins, read_secret
from daemon.settings.source import key_lines


def write(folder: Path, text: str, name: str = "holdfast.toml") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(text, "utf-8")
    return path


def problems(path: Path, **options) -> dict[str, dict]:
    with pytest.raises(BadInput) as refused:
        load(path, environment=options.pop("environment", {}), **options)
    assert refused.value.code == "bad-config"
    return {one["key"]: one for one in refused.value.data["details"]}


def test_an_empty_file_is_a_whole_house_on_loopback(tmp_path):
    """Nothing has to be set, and nothing listens beyond loopback unless it is."""
    settings = load(write(tmp_path, ""), environment={})
    assert settings.server.bind == ("127.0.0.1",)
    assert (settings.server.ipp, settings.server.ipps, settings.server.api) == (8630, 8631, 8632)
    assert settings.state_dir == tmp_path
    assert settings.tariffs.dir == tmp_path / "tariffs"
    assert list(settings.queues) == ["findme"]
    assert settings.queues["findme"].hold_s == 86_400


def test_all_problems_come_at_once_with_file_line_and_key(tmp_path):
    """A file with seven mistakes is told of all seven, so that it is mended in one go."""
    path = write(
        tmp_path,
        """[server]
base_prot = 5
base_port = "x"
[queues.findme]
rule = "claimd"
[queues.b]
hold_s = 5
[printers]
allow_networks = [
  "10.0.0.0/8",
  "nope",
]
[[profiles.standard.pots]]
unit = "EUR"
amount = 5.00001
[mail]
password = "x"
""",
    )
    found = problems(path)
    lines = {key: one["line"] for key, one in found.items()}
    assert lines == {
        "server.base_prot": 2,
        "server.base_port": 3,
        "queues.findme.rule": 5,
        "queues.b.hold_s": 7,
        "printers.allow_networks": 9,
        "profiles.standard.pots.0.amount": 15,
        "mail.password": 17,
    }
    assert {one["file"] for one in found.values()} == {str(path)}
    assert found["server.base_prot"]["suggestion"] == "base_port"
    assert "did you mean 'claimed'" in found["queues.findme.rule"]["message"]
    assert found["mail.password"]["suggestion"] == "password_file"


def test_broken_toml_names_its_line_and_does_not_hide_the_other_files(tmp_path):
    """A syntax error in one file is reported beside the problems of conf.d."""
    path = write(tmp_path, '[server]\nname = "a\n')
    extra = write(tmp_path, "[kiosk]\nidle = 3\n", "conf.d/kiosk.toml")
    found = problems(path)
    assert found[""]["line"] == 2
    assert (found["kiosk.idle"]["file"], found["kiosk.idle"]["line"]) == (str(extra), 2)


def test_flags_win_over_environment_over_conf_d_over_file_over_default(tmp_path):
    """The order of precedence is the documented one, and each option knows who set it."""
    path = write(tmp_path, "[kiosk]\nidle_s = 20\ncountdown_s = 11\nundo_s = 12\n")
    extra = write(tmp_path, "[kiosk]\ncountdown_s = 30\nundo_s = 13\n", "conf.d/10.toml")
    environment = {"HOLDFAST__KIOSK__UNDO_S": "14", "HOLDFAST__KIOSK__PREVIEW": "true", "HOLDFAST_OTHER": "x"}
    loaded = load_with_origins(path, environment=environment, flags={"kiosk.preview": "false"})
    kiosk = loaded.settings.kiosk
    assert (kiosk.idle_s, kiosk.countdown_s, kiosk.undo_s, kiosk.preview) == (20, 30, 14, False)
    origin = {
        key: loaded.origins[f"kiosk.{key}"].text()
        for key in ("idle_s", "countdown_s", "undo_s", "preview", "languages")
    }
    assert origin == {
        "idle_s": f"{path}:2",
        "countdown_s": f"{extra}:2",
        "undo_s": "environment HOLDFAST__KIOSK__UNDO_S",
        "preview": "flag kiosk.preview",
        "languages": "default",
    }


def test_environment_reaches_names_with_dashes_and_lists(tmp_path):
    """The environment has no dash, so `_` finds it; a list is separated by commas."""
    path = write(tmp_path, "[queues.find-me]\n")
    environment = {"HOLDFAST__QUEUES__FIND_ME__HOLD_S": "100", "HOLDFAST__KIOSK__LANGUAGES": "de, en"}
    settings = load(path, environment=environment)
    assert settings.queues["find-me"].hold_s == 100
    assert settings.kiosk.languages == ("de", "en")


def test_a_wrong_environment_value_names_its_variable(tmp_path):
    """A problem that stands in no file says where it stands."""
    found = problems(write(tmp_path, ""), environment={"HOLDFAST__RELEASE__POLL_S": "soon"})
    assert "HOLDFAST__RELEASE__POLL_S" in found["release.poll_s"]["message"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[server]\nbind = ["print.example.org"]', "server.bind"),
        ("[server]\nbind = []", "server.bind"),
        ('[server]\nbind = ["0.0.0.0"]\n[dns_sd]\nenabled = true', "dns_sd.interfaces"),
        ('[dns_sd]\ninterfaces = ["eth0"]', "dns_sd.interfaces"),
        ("[server]\nipps_port = 8630", "server.ipps_port"),
        ('[server]\nbase_url = "http://x"', "server.base_url"),
        ("[sign_in]\nsession_s = 600\nsession_max_s = 60", "sign_in.session_max_s"),
        ('[profiles.a]\ntimezone = "Mars/Base"\n[people]\ndefault_profile="a"', "profiles.a.timezone"),
        ('[[profiles.standard.pots]]\nunit = "gold"', "profiles.standard.pots.0.unit"),
        ('[[profiles.standard.pots]]\nperiod = "term"', "profiles.standard.terms"),
        (
            '[[profiles.standard.terms]]\nname="a"\nstart="2026-02-01"\nend="2026-01-01"',
            "profiles.standard.terms.0.end",
        ),
        ("[[profiles.standard.pots]]\n[[profiles.standard.pots]]", "profiles.standard.pots"),
        ('[people]\ndefault_profile = "staff"', "people.default_profile"),
        ('[queues."Find Me"]', "queues.Find Me"),
        ("queues = 3", "queues"),
        ('[mail]\nhost = "mx.example.org"\nsecurity = "none"', "mail.security"),
        ('[release]\nuncertain_policy = "guess"', "release.uncertain_policy"),
        ("[sign_in]\nhash_workers = 0", "sign_in.hash_workers"),
        ("[sign_in]\nkeypad_length_min = 13", "sign_in.keypad_length_min"),
        ('[kiosk]\ncard_cost_cap = "-1"', "kiosk.card_cost_cap"),
        ('[kiosk]\ncard_cost_cap = "2.50"', "kiosk.card_cost_cap"),
        ('[printers]\nallow_networks = ["10.0.0.1/8"]', "printers.allow_networks"),
    ],
)
def test_values_that_cannot_be_are_refused_by_their_key(tmp_path, text, key):
    """Each rule between or within options is reported under the key that has to change."""
    assert key in problems(write(tmp_path, text))


def test_money_in_settings_is_exact(tmp_path):
    """A decimal amount never passes through a float."""
    path = write(tmp_path, '[[profiles.standard.pots]]\nunit = "EUR"\namount = 0.35\ncap = "7.0035"\n')
    pot = load(path, environment={}).profiles["standard"].pots[0]
    assert (pot.amount, pot.cap) == (Decimal("0.35"), Decimal("7.0035"))


def test_the_line_scanner_survives_strings_brackets_and_comments():
    """A bracket or a hash inside a string, and multi-line values, do not shift any line."""
    text = 'a = "[#"\nb = [\n  "]", # c = 1\n]\nc = """\n[x]\nd = 1\n"""\n["q.r".s]\ne = { f = 1, g = "}" }\n[[t]]\nh = 1\n[[t]]\nh = 2\n[t.u]\ni = 3\n'
    lines = dict(key_lines(text))
    assert lines == {
        ("a",): 1, ("b",): 2, ("c",): 5, ("q.r", "s"): 9, ("q.r", "s", "e"): 10,
        ("t", "0"): 11, ("t", "0", "h"): 12, ("t", "1"): 13, ("t", "1", "h"): 14, ("t", "1", "u"): 15, ("t", "1", "u", "i"): 16,
    }  # fmt: skip


def test_secrets_come_from_credentials_before_files_and_only_from_private_files(tmp_path, monkeypatch):
    """A file others can read is not a secret; systemd's credential wins over the file."""
    path = tmp_path / "password"
    path.write_text("from-file\n")
    path.chmod(0o644)
    with pytest.raises(SecretMissing, match="chmod"):
        read_secret(path, credential="mail-password")
    path.chmod(0o400)
    assert read_secret(path, credential="mail-password") == b"from-file"
    (tmp_path / "mail-password").write_text("from-credential")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_secret(path, credential="mail-password") == b"from-credential"


def test_a_missing_file_is_a_problem_not_a_traceback(tmp_path):
    """The file that is not there is named."""
    found = problems(tmp_path / "nowhere.toml")
    assert "cannot be read" in found[""]["message"]
