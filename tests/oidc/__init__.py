"""Tests of the login against a real provider, oidc-provider for Node, which runs on this machine from its package."""
