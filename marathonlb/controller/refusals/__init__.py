"""Exclude what HAProxy refuses: the services, templates or certificates that cause a refusal or a failure."""
