"""Settings of who may do what: signing in, certificates, the OpenID provider."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = ["Access", "Oidc", "Tls"]


class Access(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Signing in. ``open`` lets anybody on this machine do anything, and then nobody else gets in."""

    open: Annotated[
        bool, Meta(description="Serve without sign-in, on this machine only: for trying out.")
    ] = False
    session_hours: Annotated[float, Meta(gt=0, le=720, description="How long a browser stays signed in.")] = (
        12.0
    )
    token_days: Annotated[
        float, Meta(gt=0, le=3650, description="How long a new bearer token is good, if nobody says.")
    ] = 90.0
    requests_s: Annotated[
        float, Meta(gt=0, description="Requests a second that one user or device may make for long.")
    ] = 500.0
    burst: Annotated[int, Meta(ge=1, description="Requests that one may make at once.")] = 2_000


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS 1.2 or newer on HTTP and MQTT; needed before either listens on an address that others reach.

    Without ``certificate`` the built-in authority makes one; who connects then trusts ``tls/ca.pem``
    of the data folder.
    """

    on: Annotated[bool, Meta(description="Whether HTTP and MQTT speak TLS.")] = False
    certificate: Annotated[
        str | None, Meta(description="The file of our certificate and its chain, PEM; none: made here.")
    ] = None
    key: Annotated[str | None, Meta(description="The file of its private key, PEM.")] = None
    names: Annotated[
        tuple[str, ...], Meta(description="Names and addresses that the certificate made here is for.")
    ] = ("localhost", "127.0.0.1")
    require_certificate: Annotated[
        bool, Meta(description="Whether MQTT lets in only devices that show a certificate.")
    ] = False


class Oidc(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Signing in at an OpenID provider (code with PKCE), and taking the tokens that it signed."""

    issuer: Annotated[
        Annotated[str, Meta(pattern=r"^https?://")] | None,
        Meta(description="The provider's address; none: nobody signs in there."),
    ] = None
    client_id: Annotated[str, Meta(description="The name under which the provider knows us.")] = "nervure"
    client_secret_file: Annotated[
        str | None, Meta(description="The file of our secret there; none: a public client.")
    ] = None
    audience: Annotated[
        str | None,
        Meta(description="Whom bearer tokens signed there must be for; none: they are not taken."),
    ] = None
    name_claim: Annotated[
        str, Meta(min_length=1, description="The claim that names a user who is new here.")
    ] = "email"
    new_users: Annotated[
        Literal["", "viewer", "operator", "engineer"],
        Meta(description="The role of a user who is new here; empty: an admin adds them first."),
    ] = ""
