"""Content Credentials (C2PA): what a file says of how it was made, signed by whoever made it.

A protected photo is changed on purpose. Who publishes it under a name can say so, in a way that anybody can check:
that the photo was protected, by which version of shield and on which settings. Only by a certificate and a key that
the user gives. No thumbnail of the original goes into the file, no time is asked from a server, and nothing is fetched.

The specification: C2PA 2.4, https://spec.c2pa.org. The library: c2pa-python, extra ``credentials``.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from shield.errors import InputError, PhotoError, printable

MIME = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "heif": "image/heif",
    "avif": "image/avif",
    "tiff": "image/tiff",
    "gif": "image/gif",
}
MARK = b"c2pa"  # in every file that carries Content Credentials
HOLDS = ("Valid", "Trusted")  # what C2PA says of a file whose signature holds
ASSERTION = "shield.recipe"  # the label under which the settings stand
SECRET = ("person", "device")  # of a Recipe's settings: who is on the photo is nobody's business
ADVICE = "install it with: pip install 'shield[credentials]'"
# Nothing is fetched, and no picture of the original goes into the file.
_SETTINGS = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"verify_trust": False, "remote_manifest_fetch": False, "ocsp_fetch": False},
}
EXPIRED = "signingCredential.expired"
_ALTERED = "mismatch"  # in the codes of failures that say so
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)
_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.+?-----END [A-Z ]*PRIVATE KEY-----\n?", re.DOTALL)


@dataclass(frozen=True)
class Claim:
    """What a file's Content Credentials say. ``signer``: in words. ``failures``: C2PA's codes of what does not hold.

    ``read``: whether they could be read; without the library they cannot. ``recipe``: the settings, where shield
    signed; ``by``: that shield, with its version.
    """

    signer: str = ""
    failures: tuple[str, ...] = ()
    by: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict, repr=False)
    read: bool = True

    def sentence(self) -> str:
        """In plain words."""
        if not self.read:
            return f"The file has Content Credentials; the library that reads them is not there: {ADVICE}."
        if not self.signer:
            return "The file has Content Credentials that cannot be read."
        if any(_ALTERED in code for code in self.failures):
            state = "but the file is no longer as it was signed"
        elif {*self.failures} == {EXPIRED}:
            state = "with a certificate that has run out since, so that nothing is certain"
        elif self.failures:
            state = f"but the signature does not hold ({', '.join(self.failures)})"
        else:
            state = "and the file is as it was signed"
        said = "It says that it was protected by" if self.failures else "Protected by"
        made = f" {said} {self.by}." if self.by else ""
        return f"Content Credentials: signed by {self.signer}, {state}.{made} Who that is, shield does not check."


@dataclass(frozen=True)
class Credentials:
    """What to sign with: ``chain``, the signer's certificate and those above it, and ``key``; both PEM."""

    chain: bytes = field(repr=False)
    key: bytes = field(repr=False)

    @classmethod
    def read(cls, certificate: str | Path, key: str | Path | None = None) -> "Credentials":
        """From files. ``key``: of the key, where that does not stand in the certificate's file as well.

        Raises InputError where a file cannot be read, holds no certificate or no key, the key is another
        certificate's, or the certificate is not valid today or not one for signing files; and where the library is not
        there.
        """
        chain = _bytes(certificate)
        # Of a file with both, the key is no part of the chain, which goes into every signed file.
        found = cls(b"".join(_CERTIFICATE.findall(chain)), chain if key is None else _bytes(key))
        found._check(str(certificate), str(key or certificate))
        return found

    def check(self, format: str) -> None:
        """Refuse before a search what cannot be signed. Raises InputError as ``read`` does, PhotoError where a file of
        that format (a key of ``photo.FORMATS``) has no place for credentials.
        """
        if format not in MIME:
            words = f"A file of the format {format} has no place for Content Credentials"
            raise PhotoError(f"{words}; choose PNG as format.")
        self._check("The certificate", "The key")

    def _check(self, certificate: str, key: str) -> None:
        _library()
        from cryptography import x509
        from cryptography.exceptions import UnsupportedAlgorithm

        try:
            first = x509.load_pem_x509_certificates(self.chain)[0]
        except (ValueError, UnsupportedAlgorithm) as error:
            raise InputError(f"{certificate} holds no certificate (PEM); name a file that does.") from error
        private = self._private(key)
        try:
            certified = first.public_key()
        except (ValueError, UnsupportedAlgorithm) as error:
            raise InputError(f"{certificate} is of a kind that signs no files ({error}); take another.") from error
        if private.public_key() != certified:
            raise InputError(f"{key} is not the key of {certificate}; name the one that belongs to it.")
        now = datetime.now(timezone.utc)
        if not first.not_valid_before_utc <= now <= first.not_valid_after_utc:
            until = f"{first.not_valid_before_utc:%Y-%m-%d} to {first.not_valid_after_utc:%Y-%m-%d}"
            raise InputError(f"{certificate} is valid from {until}; name one that is valid today.")
        self._algorithm(private, key)
        self.signed(_smallest(), "png", {}, "")  # what the library wants of a certificate it says when it signs

    def signed(self, data: bytes, format: str, settings: Mapping[str, Any], version: str) -> bytes:
        """The bytes of a file of shield's, with Content Credentials in it that name settings and version; pixels stay.

        Raises InputError where the certificate is not one for signing files.
        """
        c2pa = _library()
        shown = {name: value for name, value in settings.items() if name not in SECRET}
        # What was opened is named and not described: neither its pixels nor its hash are for everybody.
        manifest = {
            "claim_generator_info": [{"name": "shield", "version": version}],
            "ingredients": [{"title": "a photo", "relationship": "parentOf", "label": "photo"}],
            "assertions": [
                {
                    "label": "c2pa.actions.v2",
                    "data": {
                        "actions": [
                            {"action": "c2pa.opened", "parameters": {"ingredientIds": ["photo"]}},
                            {
                                "action": "c2pa.edited",
                                "softwareAgent": {"name": "shield", "version": version},
                                "description": "Changed a little, as protection against face manipulation",
                            },
                        ]
                    },
                },
                {"label": ASSERTION, "kind": "Json", "data": shown},
            ],
        }
        private, out = self._private("the key"), BytesIO()
        algorithm = self._algorithm(private, "the key").encode()
        info = c2pa.C2paSignerInfo(alg=algorithm, sign_cert=self.chain, private_key=_pem(private), ta_url=None)
        try:
            with c2pa.Signer.from_info(info) as signer, c2pa.Builder(manifest, context=_context()) as builder:
                builder.sign(signer, MIME[format], BytesIO(data), out)
        except c2pa.C2paError as error:
            words = "The certificate does not sign files"
            raise InputError(f"{words} ({error}); take one that is for Content Credentials.") from error
        return out.getvalue()

    def _private(self, name: str) -> Any:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            return load_pem_private_key(b"".join(_KEY.findall(self.key)), None)
        except TypeError as error:
            raise InputError(f"{name} is locked by a password; name a copy without one.") from error
        except (ValueError, UnsupportedAlgorithm) as error:
            raise InputError(f"{name} holds no key (PEM); name the file of the certificate's key.") from error

    def _algorithm(self, private: Any, name: str) -> str:
        """C2PA's name of the way in which this key signs."""
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

        curves = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
        if isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name in curves:
            return curves[private.curve.name]
        if isinstance(private, ed25519.Ed25519PrivateKey):
            return "ed25519"
        if isinstance(private, rsa.RSAPrivateKey):
            return "ps256"
        raise InputError(
            f"{name} is of a kind that Content Credentials do not know; take one of P-256, RSA or Ed25519."
        )


def claim_of(data: bytes, format: str) -> Claim | None:
    """What the Content Credentials in a file's bytes say; None where there are none."""
    if MARK not in data or format not in MIME:
        return None
    try:
        c2pa = _library()
    except InputError:
        return Claim(read=False)
    try:
        with c2pa.Reader(MIME[format], BytesIO(data), context=_context()) as reader:
            return _claim(json.loads(reader.json()))
    except c2pa.C2paError as error:
        # A file may have the letters in it by chance.
        return None if "ManifestNotFound" in type(error).__name__ else Claim()
    except (AttributeError, LookupError, TypeError, ValueError):  # a file may hold anything; a photo it still is
        return Claim()


def _claim(store: Mapping[str, Any]) -> Claim:
    manifest = store["manifests"][store["active_manifest"]]
    signature = manifest["signature_info"]
    name, house = signature.get("common_name"), signature.get("issuer")
    signer = f"{name} ({house})" if name and house else name or house or "somebody without a name"
    found = store.get("validation_results", {}).get("activeManifest", {}).get("failure", [])
    failures = [str(it["code"]) for it in found]
    if not failures and store["validation_state"] not in HOLDS:
        failures = [str(store["validation_state"])]
    recipe = next((it["data"] for it in manifest.get("assertions", []) if it["label"] == ASSERTION), None)
    maker = manifest.get("claim_generator_info", [{}])[0]
    by = f"{maker.get('name', '')} {maker.get('version', '')}".strip() if recipe is not None else ""
    # Whoever signed wrote these words, and a terminal shows them.
    signer, by, *failures = map(printable, (signer, by, *failures))
    return Claim(signer, tuple(failures), by, dict(recipe or {}))


def _library() -> Any:
    try:
        import c2pa
    except (ImportError, OSError, RuntimeError) as error:  # the last two: its native part is missing or does not load
        raise InputError(f"Content Credentials need a library that is not there; {ADVICE}") from error
    return c2pa


def _smallest() -> bytes:
    """A PNG of one pixel."""
    file = BytesIO()
    Image.new("RGB", (1, 1)).save(file, "PNG")
    return file.getvalue()


def _context() -> Any:
    c2pa = _library()
    return c2pa.Context(settings=c2pa.Settings.from_dict(_SETTINGS))


def _pem(private: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem: bytes = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


def _bytes(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); name another file.") from error
