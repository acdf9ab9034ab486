"""Content Credentials: signed by the user's certificate alone, true of the file, silent about the original."""

import builtins
import hashlib
import json
import sys
from datetime import datetime, timedelta, timezone
from functools import partial
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import shield
from shield import cli
from shield.credentials import EXPIRED, MIME, SECRET, Claim, Credentials, claim_of
from shield.photo import WRITABLE, decode, encode, from_array
from shield.verify import Plan

pytest.importorskip("c2pa", reason="needs shield[credentials]")
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SETTINGS = {"face_lpips": 0.05, "surrogates": ("dlib", "stargan"), "person": "key-1234", "device": "cpu", "edits": ()}
NOW = datetime.now(timezone.utc)
LEAST = shield.Recipe(surrogates=("stargan",), attack="fgsm", steps=1, transforms=shield.PLAIN, steered=False)
BRIEF = Plan(surrogates=("stargan",), channels=("none",), held=1, few=1, found=(), controls=())


def name(words):
    parts = [(NameOID.COMMON_NAME, words), (NameOID.ORGANIZATION_NAME, "Photos & Sons")]
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])


def certificate(words, key, above, signing, authority=False, until=NOW + timedelta(days=9)):
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
    ) | {"decipher_only": False, "digital_signature": not authority, "key_cert_sign": authority, "crl_sign": authority}
    builder = (
        x509.CertificateBuilder(name(above), name(words), key.public_key(), 1 + authority, NOW - timedelta(9), until)
        .add_extension(x509.BasicConstraints(authority, None), True)
        .add_extension(x509.KeyUsage(**usage), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), False)
    )
    if not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
    return builder.sign(signing, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def pem(key, password=None):
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)


ROOT = ec.generate_private_key(ec.SECP256R1())
KINDS = {
    "P-256": partial(ec.generate_private_key, ec.SECP256R1()),
    "P-384": partial(ec.generate_private_key, ec.SECP384R1()),
    "RSA": partial(rsa.generate_private_key, 65537, 2048),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}


def chain_of(key, **settings):
    root = certificate("A root", ROOT, "A root", ROOT, authority=True)
    return certificate("Ada Lens", key, "A root", ROOT, **settings) + root


@pytest.fixture(scope="module")
def key():
    return KINDS["P-256"]()


@pytest.fixture
def files(tmp_path, key):
    """A certificate's file and its key's."""
    (tmp_path / "chain.pem").write_bytes(chain_of(key))
    (tmp_path / "key.pem").write_bytes(pem(key))
    return tmp_path / "chain.pem", tmp_path / "key.pem"


@pytest.fixture(scope="module")
def photo():
    """Noise: a thumbnail of it would be seen in the size of the file."""
    return from_array(np.random.default_rng(0).integers(0, 256, (160, 200, 3), dtype=np.uint8))


@pytest.mark.parametrize("kind", [kind for kind in WRITABLE if kind in MIME])
def test_a_signed_file_shows_the_same_and_says_who_how_and_nothing_of_the_original(files, photo, kind):
    credentials = Credentials.read(*files)
    plain = encode(photo, kind)
    data = credentials.signed(plain, kind, SETTINGS, "9.9")
    before, after = decode(plain), decode(data)
    assert np.array_equal(before.pixels, after.pixels)
    assert (before.icc, before.exif) == (after.icc, after.exif)
    assert 0 < len(data) - len(plain) < 8000
    own = serialization.load_pem_private_key(credentials.key, None).private_numbers()
    assert own.private_value.to_bytes(32, "big") not in data
    assert credentials.key not in data and b"key-1234" not in data
    claim = after.claim
    assert before.claim is None and claim is not None
    assert (claim.signer, claim.failures, claim.by) == ("Ada Lens (Photos & Sons)", (), "shield 9.9")
    shown = {name: list(it) if isinstance(it, tuple) else it for name, it in SETTINGS.items() if name not in SECRET}
    assert dict(claim.recipe) == shown
    assert "is as it was signed" in claim.sentence()


def test_a_file_that_was_changed_after_signing_says_so(files, photo):
    plain = encode(photo, "png")
    data = bytearray(Credentials.read(*files).signed(plain, "png", SETTINGS, "9.9"))
    data[data.rindex(b"IDAT") + 2000] ^= 1
    claim = claim_of(bytes(data), "png")
    assert claim is not None and claim.failures
    assert "no longer as it was signed" in claim.sentence()
    assert "It says that it was protected by shield 9.9." in claim.sentence()


def test_a_certificate_that_has_run_out_since_is_no_forgery():
    claim = Claim("Ada", (EXPIRED,), "shield 9.9")
    assert "run out since" in claim.sentence() and "It says" in claim.sentence()


def test_a_file_that_only_has_the_letters_in_it_has_no_credentials(photo):
    data = encode(photo, "png")
    assert claim_of(data + b"c2pa", "png") is None
    assert decode(data + b"c2pa").claim is None


SOUND = {"signature_info": {"common_name": "Eve\x1b[2J", "issuer": "Evil\n& Co"}, "assertions": [], "label": "x"}
STORES = {
    "nothing": {},
    "no manifest of that name": {"active_manifest": "x", "manifests": {}},
    "no signature": {"active_manifest": "x", "manifests": {"x": {}}, "validation_state": "Valid"},
    "a number for a name": {"active_manifest": 1, "manifests": {"1": 2}},
    "a list": [],
}


def storing(monkeypatch, store):
    """Let every file's Content Credentials be this."""
    import c2pa

    monkeypatch.setattr(c2pa.Reader, "json", lambda self: json.dumps(store))


@pytest.mark.parametrize("case", STORES)
def test_credentials_that_make_no_sense_leave_the_photo_a_photo(signed, monkeypatch, case):
    storing(monkeypatch, STORES[case])
    photo = decode(signed.data)
    assert np.array_equal(photo.pixels, signed.photo.pixels)
    assert photo.claim is not None and photo.claim.sentence().endswith("cannot be read.")


def test_what_a_signer_is_called_steers_no_terminal_and_what_is_not_valid_does_not_hold(signed, monkeypatch):
    store = {"active_manifest": "x", "manifests": {"x": SOUND}, "validation_state": "Invalid"}
    storing(monkeypatch, store)
    claim = claim_of(signed.data, "png")
    assert claim is not None and claim.failures == ("Invalid",)
    assert "Eve\\x1b[2J (Evil\\n& Co)" in claim.sentence()
    assert "does not hold" in claim.sentence() and "as it was signed" not in claim.sentence()


@pytest.mark.parametrize("kind", KINDS)
def test_every_usual_kind_of_key_signs_from_one_file_or_two(tmp_path, photo, kind):
    key = KINDS[kind]()
    (tmp_path / "both.pem").write_bytes(pem(key) + chain_of(key))
    credentials = Credentials.read(tmp_path / "both.pem")
    data = credentials.signed(encode(photo, "jpeg"), "jpeg", SETTINGS, "9.9")
    claim = claim_of(data, "jpeg")
    assert claim is not None and not claim.failures
    assert b"PRIVATE KEY" not in data and b"PRIVATE" not in credentials.chain
    assert "PRIVATE" not in repr(credentials)


def refusals(key):
    other = KINDS["P-256"]()
    odd = ec.generate_private_key(ec.SECP256K1())
    past = chain_of(key, until=NOW - timedelta(days=1))
    return {
        "no certificate": (b"words", pem(key), "holds no certificate"),
        "no key": (chain_of(key), b"words", "holds no key"),
        "another key": (chain_of(key), pem(other), "is not the key of"),
        "a locked key": (chain_of(key), pem(key, b"secret"), "locked by a password"),
        "an old certificate": (past, pem(key), "valid today"),
        "an odd curve": (chain_of(odd), pem(odd), "do not know"),
        "one's own authority": (certificate("Me", key, "Me", key, authority=True), pem(key), "does not sign files"),
    }


@pytest.mark.parametrize("case", refusals(KINDS["P-256"]()))
def test_what_cannot_sign_is_refused_before_any_search(tmp_path, key, case):
    chain, own, words = refusals(key)[case]
    (tmp_path / "chain.pem").write_bytes(chain)
    (tmp_path / "key.pem").write_bytes(own)
    with pytest.raises(shield.InputError, match=words):
        Credentials.read(tmp_path / "chain.pem", tmp_path / "key.pem")


def test_files_that_are_not_there_and_formats_without_a_place_are_refused(files, tmp_path):
    with pytest.raises(shield.InputError, match="cannot be read"):
        Credentials.read(tmp_path / "nothing.pem")
    with pytest.raises(shield.InputError, match="choose PNG as format"):
        Credentials.read(*files).check("bmp")


def test_a_photo_that_cannot_be_signed_ends_no_batch(files, tmp_path, small):
    for ending in ("bmp", "png"):
        Image.fromarray(small).save(tmp_path / f"photo.{ending}")
    photos = [tmp_path / "photo.bmp", tmp_path / "photo.png"]
    first, second = shield.protect_files(photos, LEAST, plan=BRIEF, credentials=Credentials.read(*files))
    assert isinstance(first.error, shield.PhotoError) and "no place" in str(first.error)
    assert second.error is None


def test_a_library_whose_native_part_is_gone_leaves_a_photo_a_photo(files, photo, monkeypatch):
    data = Credentials.read(*files).signed(encode(photo, "png"), "png", SETTINGS, "9.9")

    def broken(name, *rest):
        if name == "c2pa":
            raise RuntimeError("Could not find libc2pa_c.so")
        return imported(name, *rest)

    imported = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", broken)
    claim = decode(data).claim
    assert claim is not None and not claim.read


def test_a_certificate_for_something_else_is_refused_in_a_sentence(key, photo):
    alone = Credentials(certificate("Me", key, "Me", key, authority=True), pem(key))
    with pytest.raises(shield.InputError, match="does not sign files"):
        alone.signed(encode(photo, "png"), "png", SETTINGS, "9.9")


def test_without_the_library_signing_is_refused_and_reading_says_what_to_install(files, photo, monkeypatch):
    credentials = Credentials.read(*files)
    data = credentials.signed(encode(photo, "png"), "png", SETTINGS, "9.9")
    monkeypatch.setitem(sys.modules, "c2pa", None)
    claim = decode(data).claim
    assert claim is not None and not claim.read
    assert "shield[credentials]" in claim.sentence()
    with pytest.raises(shield.InputError, match=r"shield\[credentials\]"):
        Credentials.read(*files)


@pytest.fixture(scope="module")
def signed(small, key):
    return shield.protect(small, LEAST, plan=BRIEF, credentials=Credentials(chain_of(key), pem(key)))


def test_what_is_verified_is_the_signed_file(signed):
    report = signed.report
    assert report.protected.sha256 == hashlib.sha256(signed.data).hexdigest()
    assert report.protected.claim == claim_of(signed.data, "png")
    assert "is as it was signed" in report.credentials_sentence()
    assert np.array_equal(np.asarray(Image.open(BytesIO(signed.data)).convert("RGB")), signed.photo.pixels)


def test_the_command_line_signs_and_says_what_a_file_says(tmp_path, small, signed, files, monkeypatch):
    run = CliRunner().invoke
    original, protected = tmp_path / "photo.png", tmp_path / "photo.shield.png"
    Image.fromarray(small).save(original)
    protected.write_bytes(signed.data)
    monkeypatch.setattr(shield, "verify_photo", lambda *_, **__: signed.verification)
    said = run(cli.app, ["verify", str(original), str(protected)]).output
    assert "signed by Ada Lens (Photos & Sons)" in " ".join(said.split())
    asked = []
    monkeypatch.setattr(shield, "protect_file", lambda *_, **others: asked.append(others) or (signed, [protected]))
    chain, key = map(str, files)
    run(cli.app, ["protect", str(original), "--credentials", chain, "--credentials-key", key])
    assert asked[0]["credentials"] == Credentials.read(*files)
    refused = run(cli.app, ["protect", str(original), "--credentials-key", key])
    assert refused.exit_code == 2 and "--credentials" in refused.output


def test_a_folder_is_signed_too_and_another_signer_makes_it_anew(tmp_path, small, key, files, monkeypatch):
    from shield import batch

    seen = []
    monkeypatch.setattr(
        batch, "protect", lambda *given: seen.append(given[-1]) or shield.protect(*given[:2], plan=BRIEF)
    )
    Image.fromarray(small).save(tmp_path / "photo.png")
    other = Credentials(chain_of(KINDS["P-256"]()), b"")
    for credentials in (Credentials.read(*files), Credentials.read(*files), other):
        list(shield.protect_files([tmp_path / "photo.png"], LEAST, plan=BRIEF, resume=True, credentials=credentials))
    assert seen == [Credentials.read(*files), other]


def test_credentials_of_the_original_are_not_carried_over_and_that_is_said(signed):
    again = shield.protect(decode(signed.data), LEAST, plan=BRIEF)
    assert b"c2pa" not in again.data
    assert "left out" in again.report.credentials_sentence()
