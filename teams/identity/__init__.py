"""Sign-in by OpenID Connect: docs/sign-in.md. Off without OIDC_ISSUER."""
