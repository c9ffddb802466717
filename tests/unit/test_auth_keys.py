"""Keys on disk, the secret box, password hashing and the house's certificates."""

import asyncio
import ipaddress
import os
import ssl
import stat
import threading

import pytest
from cryptography import x509

from daemon.auth import keys, tls
from daemon.auth.leaf import Leaf
from daemon.auth.passwords import Passwords, StoredSecret
from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import Busy
from daemon.system import SystemClock, SystemDice

DICE = SystemDice()


class SetClock:
    """A clock that stands where it is put."""

    def __init__(self, now_us: int) -> None:
        self.us = now_us

    def now_us(self) -> int:
        return self.us

    def monotonic_s(self) -> float:
        return self.us / US_PER_S


@pytest.fixture
def ring(tmp_path):
    keys.generate(tmp_path / "keys", DICE)
    return keys.load(tmp_path / "keys")


def test_two_installations_share_no_key(tmp_path):
    """Keys are made at init, private to the owner, and made once: a second init leaves them alone."""
    for name in ("a", "b"):
        keys.generate(tmp_path / name, DICE)
    first, second = keys.load(tmp_path / "a"), keys.load(tmp_path / "b")
    rings = [(r.pepper, r.card, r.box, r.audit) for r in (first, second)]
    secrets = {ring.current.secret for pair in rings for ring in pair}
    assert len(secrets) == 8
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a").iterdir()} == {0o600}
    keys.generate(tmp_path / "a", DICE)
    assert keys.load(tmp_path / "a").pepper.current == first.pepper.current
    assert first.pepper.current.secret.hex() not in repr(first)


def test_a_missing_or_damaged_key_stops_the_start(tmp_path):
    """No pepper, no start: the message names the file and, where it is damaged, the line."""
    keys.generate(tmp_path, DICE)
    (tmp_path / "card").write_text("zz nonsense\n")
    with pytest.raises(keys.KeysMissing, match=r"card:1"):
        keys.load(tmp_path)
    (tmp_path / "card").write_text("\n")
    with pytest.raises(keys.KeysMissing, match="no key"):
        keys.load(tmp_path)
    (tmp_path / "pepper").unlink()
    with pytest.raises(keys.KeysMissing, match="pepper"):
        keys.load(tmp_path)


def test_systemd_credentials_come_first(tmp_path, monkeypatch):
    """A credential file replaces the one in the state directory, purpose by purpose."""
    keys.generate(tmp_path / "state", DICE)
    keys.generate(tmp_path / "given", DICE)
    (tmp_path / "credentials").mkdir()
    (tmp_path / "given" / "pepper").rename(tmp_path / "credentials" / "holdfast-pepper")
    own = keys.load(tmp_path / "state")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    given = keys.load(tmp_path / "state")
    assert given.pepper.current != own.pepper.current
    assert given.card.current == own.card.current


def test_rotation_keeps_old_keys_readable(tmp_path, ring):
    """After a rotation new values carry the new key id and old values still open."""
    old = ring.box
    sealed = keys.SecretBox(old, DICE).seal(b"secret", place="x")
    key = keys.rotate(tmp_path / "keys", keys.BOX, DICE)
    new = keys.load(tmp_path / "keys").box
    assert new.current == key
    assert keys.SecretBox(new, DICE).open(sealed, place="x") == b"secret"
    with pytest.raises(keys.KeysMissing):
        new.by_id("00000000" if key.key_id != "00000000" else "00000001")


def test_the_box_opens_only_what_it_sealed_where_it_was_put(ring):
    """A changed byte, another place, another key and rubbish are all refused."""
    box = keys.SecretBox(ring.box, DICE)
    sealed = box.seal(b"secret", place="mail:7")
    assert box.open(sealed, place="mail:7") == b"secret"
    assert b"secret" not in sealed
    bad = [sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:20], b"", sealed[4:]]
    for value in bad:
        with pytest.raises(keys.SealBroken):
            box.open(value, place="mail:7")
    with pytest.raises(keys.SealBroken):
        box.open(sealed, place="mail:8")
    with pytest.raises(keys.SealBroken):
        keys.SecretBox(ring.card, DICE).open(sealed, place="mail:7")


async def test_passwords_are_argon2id_at_full_strength_over_a_pepper(tmp_path, ring):
    """46 MiB, one pass, one lane; without this installation's pepper a stolen hash verifies nothing."""
    passwords = Passwords(ring.pepper)
    stored = await passwords.hash("cafe\u0301 tibio azul")
    assert stored.encoded.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
    assert stored.encoded not in repr(stored)
    assert (await passwords.verify("café tibio azul", stored)).is_right
    assert not (await passwords.verify("café tibio azul ", stored)).is_right
    assert not (await passwords.verify("nobody has this password", None)).is_right
    keys.generate(tmp_path / "elsewhere", DICE)
    stranger = Passwords(keys.load(tmp_path / "elsewhere").pepper)
    assert not (await stranger.verify("café tibio azul", stored)).is_right
    same_id = StoredSecret(stored.encoded, stranger._pepper.current.key_id)
    assert not (await stranger.verify("café tibio azul", same_id)).is_right
    assert not (await passwords.verify("x", StoredSecret("not a hash", stored.key_id))).is_right
    passwords.close()
    stranger.close()


async def test_old_hashes_are_noticed(tmp_path, ring):
    """Weaker parameters or an older pepper ask for a new hash, only when the password was right."""
    weak = Passwords(ring.pepper, memory_kib=8192)
    old = await weak.hash("a quiet harbour town")
    keys.rotate(tmp_path / "keys", keys.PEPPER, DICE)
    now = Passwords(keys.load(tmp_path / "keys").pepper)
    assert (await now.verify("a quiet harbour town", old)).needs_rehash
    assert not (await now.verify("a quiet harbour tow", old)).needs_rehash
    fresh = await now.hash("a quiet harbour town")
    assert not (await now.verify("a quiet harbour town", fresh)).needs_rehash
    weak.close()
    now.close()


async def test_a_site_says_how_many_passwords_are_checked_at_once(ring):
    """Never more threads than allowed; with one, a burst is worked off one by one."""
    passwords = Passwords(ring.pepper, memory_kib=8192, workers=1)
    stored = await passwords.hash("a quiet harbour town")
    verdicts = await asyncio.gather(*(passwords.verify("a quiet harbour town", stored) for _ in range(4)))
    assert [verdict.is_right for verdict in verdicts] == [True] * 4
    names = {thread.name for thread in threading.enumerate() if thread.name.startswith("password_")}
    passwords.close()
    assert len(names) == 1


async def test_checking_never_stops_the_loop_and_waits_within_a_limit(ring):
    """A burst of sign-ins leaves the loop free; more than 200 waiting are told to come back."""
    passwords = Passwords(ring.pepper, memory_kib=8192)
    stored = await passwords.hash("a quiet harbour town")
    worst = 0.0

    async def watch():
        nonlocal worst
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0.005)
            worst = max(worst, loop.time() - before - 0.005)

    watcher = asyncio.create_task(watch())
    tries = await asyncio.gather(*(passwords.verify("x", stored) for _ in range(240)), return_exceptions=True)
    watcher.cancel()
    assert sum(isinstance(outcome, Busy) for outcome in tries) == 40
    assert worst < 0.5
    passwords.close()


def test_the_house_makes_its_own_certificates(tmp_path):
    """The leaf names localhost, loopback and what was asked for, and verifies against the CA and nothing else."""
    files = tls.TlsFiles.under(tmp_path)
    tls.create(files, names=["Print.Example.org", "192.0.2.7"], clock=SystemClock(), dice=DICE)
    leaf = x509.load_pem_x509_certificate(files.server_cert.read_bytes())
    sans = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(sans.get_values_for_type(x509.DNSName)) == {"localhost", "print.example.org"}
    assert set(sans.get_values_for_type(x509.IPAddress)) == {
        ipaddress.ip_address(a) for a in ("127.0.0.1", "::1", "192.0.2.7")
    }
    assert stat.S_IMODE(files.ca_key.stat().st_mode) == stat.S_IMODE(files.server_key.stat().st_mode) == 0o600
    assert not any(name.startswith(".") for name in os.listdir(files.server_key.parent))
    client = ssl.create_default_context(cafile=files.ca_cert)
    _handshake(client, tls.server_context(files), "print.example.org")
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(client, tls.server_context(files), "other.example.org")
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(ssl.create_default_context(), tls.server_context(files), "localhost")
    assert len(tls.ca_sha256(files).split(":")) == 32
    assert "PRIVATE" not in tls.ca_pem(files)


def test_the_leaf_is_renewed_in_time_and_keeps_its_key(tmp_path):
    """Nothing happens while it is good; near its end or under new names there is a new one with the same key."""
    files = tls.TlsFiles.under(tmp_path)
    clock = SetClock(SystemClock().now_us())
    tls.create(files, names=["h"], clock=clock, dice=DICE)
    seen = tls.server_key_sha256(files)
    assert not tls.renew(files, names=["h"], clock=clock, dice=DICE)
    clock.us += (tls.LEAF_DAYS - tls.RENEW_BEFORE_DAYS + 1) * 86_400 * US_PER_S
    assert tls.renew(files, names=["h"], clock=clock, dice=DICE)
    assert not tls.renew(files, names=["h"], clock=clock, dice=DICE)
    assert tls.renew(files, names=["h", "other"], clock=clock, dice=DICE)
    assert tls.server_key_sha256(files) == seen
    files.server_key.unlink()
    assert tls.renew(files, names=["h", "other"], clock=clock, dice=DICE)
    assert tls.server_key_sha256(files) != seen


def test_a_missing_ca_is_named(tmp_path):
    """Without its CA the house makes no new one by itself: terminals have pinned the old."""
    files = tls.TlsFiles.under(tmp_path)
    with pytest.raises(keys.KeysMissing, match=r"ca\.pem"):
        tls.renew(files, names=[], clock=SystemClock(), dice=DICE)


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> bytes:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[0].getpeercert(binary_form=True)


async def test_a_running_daemon_serves_the_renewed_leaf(tmp_path):
    """Contexts given out before the renewal hand the new certificate to new connections; before its time nothing changes."""
    files = tls.TlsFiles.under(tmp_path)
    clock = SetClock(SystemClock().now_us())
    tls.create(files, names=["h"], clock=clock, dice=DICE)
    leaf = Leaf(files, names=["h"], clock=clock, dice=DICE)
    context = leaf.context()
    client = ssl.create_default_context(cafile=files.ca_cert)
    before = _handshake(client, context, "h")
    assert not await leaf.check()
    assert _handshake(client, context, "h") == before
    clock.us += (tls.LEAF_DAYS - tls.RENEW_BEFORE_DAYS + 1) * 86_400 * US_PER_S
    assert await leaf.check()
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE
    assert _handshake(stranger, context, "h") != before
