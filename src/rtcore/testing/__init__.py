"""What a test of an application needs: a virtual hub, server and clients."""
