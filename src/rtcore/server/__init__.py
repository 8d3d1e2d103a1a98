"""The server: settings, admission, authentication, HTTP."""
